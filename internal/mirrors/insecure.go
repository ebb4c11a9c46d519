// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// InsecureAnnotation is the annotation of a set that lists its insecure mirrors: scopes, separated by commas or line breaks (I2).
const InsecureAnnotation = "mirrorset.io/insecure-mirrors"

// readInsecure returns an index of the scopes that follow the grammar, or nil where the set has no annotation. It reports what is wrong
// with the other scopes, and which scopes contain no mirror of the set (I3).
func (m *merger) readInsecure(set *Set) *Index {
	var scopes []Rule
	var lost []string
	more := 0
	lose := func(text, why string) {
		if len(lost) == maxExplained {
			more++
			return
		}
		lost = append(lost, fmt.Sprintf("%s is ignored: %s", quote(text), why))
	}
	written := set.insecureMirrors()
	if len(written) == 0 {
		return nil
	}
	used := set.scopesWithMirrors(written)
	for _, text := range written {
		switch {
		case !value.Source.Takes(text):
			lose(text, value.Wrong(text, value.Source))
		case !used[Scope(text)]:
			lose(text, "no mirror of this set is there; write the value exactly as the set writes the mirror, with its port")
		default:
			scopes = append(scopes, Rule{Source: Scope(text)})
		}
	}
	if more > 0 {
		lost = append(lost, fmt.Sprintf("%d more are ignored", more))
	}
	if len(lost) > 0 {
		m.find(InvalidInsecureMirrors, "", []Entry{set.OutsideEntries()},
			"annotation %s: %s; separate the values with commas", InsecureAnnotation, strings.Join(lost, "; "))
	}
	return NewIndex(scopes)
}

// insecureMirrors are the values of the annotation.
func (s *Set) insecureMirrors() (written []string) {
	for part := range strings.FieldsFuncSeq(s.InsecureMirrors, func(r rune) bool { return r == ',' || r == '\n' }) {
		if text := strings.TrimSpace(part); text != "" {
			written = append(written, text)
		}
	}
	return written
}

// scopesWithMirrors returns the scopes that contain a mirror of the set. It looks at each mirror and each scope only once, because there
// may be very many of both.
func (s *Set) scopesWithMirrors(written []string) map[Scope]bool {
	scopes := make([]Rule, len(written))
	for i, text := range written {
		scopes[i].Source = Scope(text)
	}
	used, index := make(map[Scope]bool), NewIndex(scopes)
	for i := range s.Entries {
		for _, m := range s.Entries[i].Mirrors {
			for in := index.Find(Scope(m)); in != nil && !used[in.Source]; in = index.Enclosing(in.Source) {
				used[in.Source] = true
			}
		}
	}
	return used
}

// mark notes which mirrors of a statement its set lists as insecure. The source is never one of them, even if it is in the list of mirrors.
func (m *merger) mark(s statement, insecure *Index) {
	if insecure == nil {
		return
	}
	for _, location := range s.mirrors {
		if location != s.source && insecure.Find(location) != nil {
			m.insecure.mark(s.source, location)
		}
	}
}

// insecurity is what nodes contact without TLS checks (I1).
type insecurity struct {
	scopes Scopes
	marked map[placed]bool
}

// placed is a mirror of a source.
type placed struct{ source, mirror Scope }

func (i insecurity) mark(source, mirror Scope) {
	i.marked[placed{source, mirror}] = true
}

// of reports whether a mirror of a source is insecure.
func (i insecurity) of(source, mirror Scope) bool {
	return i.scopes.Contain(mirror) || i.marked[placed{source, mirror}]
}

// alike makes a mirror that is insecure for references of one mode insecure for those of the other, because registries.conf may have it in
// one table for both.
func alike(byMode [][]Mirror) {
	if slices.ContainsFunc(byMode, func(list []Mirror) bool { return len(list) == 0 }) {
		return
	}
	isInsecure := make(map[Scope]bool)
	for _, m := range slices.Concat(byMode...) {
		isInsecure[m.Location] = isInsecure[m.Location] || m.Insecure
	}
	for _, list := range byMode {
		for i := range list {
			list[i].Insecure = isInsecure[list[i].Location]
		}
	}
}
