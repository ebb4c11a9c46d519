// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// InsecureAnnotation is the one of a set that says which of the set's mirrors are insecure: scopes, separated by commas or line breaks (I2).
const InsecureAnnotation = "mirrorset.io/insecure-mirrors"

// ofTheSet is the Index of an [Entry] that stands for what a set says beside its entries.
const ofTheSet = -1

// readInsecure returns the scopes that are in the grammar, and says of the others, and of those that no mirror of the set lies in, what is wrong
// (I3).
func (m *merger) readInsecure(set *Set) (scopes Scopes) {
	var lost []string
	more := 0
	lose := func(text, why string) {
		if len(lost) == maxExplained {
			more++
			return
		}
		lost = append(lost, fmt.Sprintf("%s is left out: %s", quote(text), why))
	}
	places := set.places()
	for part := range strings.FieldsFuncSeq(set.InsecureMirrors, func(r rune) bool { return r == ',' || r == '\n' }) {
		switch text := strings.TrimSpace(part); {
		case text == "":
		case !value.Source.Takes(text):
			lose(text, value.Wrong(text, value.Source))
		case !haveOneIn(places, Scope(text)):
			lose(text, "no mirror that the set names lies there; write it as the mirror is written, with its port")
		default:
			scopes = append(scopes, Scope(text))
		}
	}
	if more > 0 {
		lost = append(lost, fmt.Sprintf("%d more are left out", more))
	}
	if len(lost) > 0 {
		m.find(InvalidInsecureMirrors, "", []Entry{{Object: set.Object, Index: ofTheSet}},
			"annotation %s: %s; write host[:port][/path] or *.host for each, separated by commas", InsecureAnnotation, strings.Join(lost, "; "))
	}
	return scopes
}

// places are those of all mirrors of the set, in byte order.
func (s *Set) places() (all []Scope) {
	for i := range s.Entries {
		for _, m := range s.Entries[i].Mirrors {
			all = append(all, Scope(m))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// haveOneIn reports whether one of the places, in byte order, lies in a scope.
func haveOneIn(places []Scope, in Scope) bool {
	if in.IsWildcard() {
		return slices.ContainsFunc(places, in.Contains)
	}
	if _, is := slices.BinarySearch(places, in); is {
		return true
	}
	_, below := FirstBelow(places, in)
	return below
}

// mark notes which mirrors of a statement its set calls insecure. The source is none of them, wherever it stands.
func (m *merger) mark(s statement, insecure Scopes) {
	for _, location := range s.mirrors {
		if location != s.source && insecure.Contain(location) {
			m.insecure.mark(s.source, location)
		}
	}
}

// insecurity is what is reached without TLS checks (I1).
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

// alike has a mirror that is insecure for references of one mode insecure for those of the other, because registries.conf may have it
// in one table for both.
func alike(byMode [][]Mirror) {
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
