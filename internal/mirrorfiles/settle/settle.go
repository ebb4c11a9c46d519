// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package settle reduces several files of mirrors, each of which can be expressed as entries of sets, to what can be expressed for all of
// them together. It is pure.
package settle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrorfiles"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Loss is what has no entry because of entries that another file, or the same one, has.
type Loss struct {
	// Place is that of the file.
	Place string
	// Text is for people, as those of [mirrorfiles.Content] are.
	Text string
}

// Files removes the entries that files can have alone but not together. It merges the entries of all files with the existing sets into
// rules, and checks where images would come from. A program that does not pull from a registry itself may still pull from it as the mirror
// of another source, but a blocked source is blocked as a mirror too (docs/reference/semantics.md, Q4). It fails with
// [mirrors.ErrTooLarge].
func Files(files []*mirrorfiles.Content, beside []mirrors.Set) (lost []Loss, err error) {
	for {
		loss, err := firstConflict(files, beside)
		if err != nil || loss == nil {
			return lost, err
		}
		withdraw(files, loss.file, loss.source)
		lost = append(lost, Loss{
			Place: files[loss.file].Place,
			Text:  fmt.Sprintf("source %q is left out: %s; write its entry by hand, or its images are pulled without a mirror", loss.source, loss.why),
		})
	}
}

// conflict is a source that a file cannot have an entry for.
type conflict struct {
	file   int
	source string
	why    string
}

// setKinds are what the entries of files are sets of, as far as the rules are concerned.
var setKinds = map[mirrors.Mode]*mirrors.Kind{
	mirrors.ByDigest: {Name: mirrors.ByDigest.String(), Mode: mirrors.ByDigest},
	mirrors.ByTag:    {Name: mirrors.ByTag.String(), Mode: mirrors.ByTag},
}

// together is what the entries of files, and of sets, come to.
type together struct {
	files []*mirrorfiles.Content
	index *mirrors.Index
	// blocked are the sources of the rules that block.
	blocked []mirrors.Scope
}

// fileName names a file as no set is called.
func fileName(i int) string { return fmt.Sprintf("file %d", i) }

func firstConflict(files []*mirrorfiles.Content, beside []mirrors.Set) (*conflict, error) {
	sets := slices.Clone(beside)
	for i, file := range files {
		for mode, kind := range setKinds {
			set := mirrors.Set{Object: mirrors.Object{Kind: kind, Name: fileName(i)}}
			for _, e := range file.Entries {
				if e.Mode == mode {
					set.Entries = append(set.Entries, e.SetEntry)
				}
			}
			sets = append(sets, set)
		}
	}
	merged := mirrors.Merge(mirrors.Input{Sets: sets})
	if merged.TooLarge {
		return nil, mirrors.ErrTooLarge
	}
	rules := merged.Rules
	all := together{files: files, index: mirrors.NewIndex(rules)}
	for i := range rules {
		if rules[i].Blocked {
			all.blocked = append(all.blocked, rules[i].Source)
		}
	}
	for i, file := range files {
		for j := range file.Entries {
			if found := all.judge(i, &file.Entries[j]); found != nil {
				return found, nil
			}
		}
	}
	return nil, nil
}

// judge compares where images of an entry come from with what the entry says.
func (t *together) judge(file int, e *mirrorfiles.Entry) *conflict {
	if len(e.Mirrors) == 0 {
		return nil
	}
	for _, rest := range t.probes(e) {
		name := strings.Replace(e.Source, "*", "probe", 1) + rest
		got := t.index.Resolve(mirrors.Reference{Name: name, Mode: e.Mode})
		if got.Rule == nil || got.Rule.Source != mirrors.Scope(e.Source) {
			continue // a narrower source decides, and has an entry of its own
		}
		var want []string
		for _, place := range e.Mirrors {
			if found := t.judgeMirror(file, e, place, place+rest); found != nil {
				return found
			}
			if t.blockedAt(place+rest) == nil && asks(e, place, name) {
				want = append(want, place+rest)
			}
		}
		if e.Policy != mirrors.NeverContactSource {
			want = append(want, name)
		}
		var places []string
		for _, s := range got.PullSources {
			places = append(places, s.Location)
		}
		if !isRepeated(t.files[file], e) && !slices.Equal(places, want) {
			return &conflict{file, e.Source, fmt.Sprintf("together with the other files of this conversion, its images by %s would come from %s instead of %s", e.Mode, names(places), names(want))}
		}
	}
	return nil
}

// judgeMirror returns why a mirror would not be asked for a place. Where the file has the mirror passed over itself, that is no conflict.
func (t *together) judgeMirror(file int, e *mirrorfiles.Entry, mirror, place string) *conflict {
	rule := t.blocker(file, place)
	if rule == nil {
		return nil
	}
	foreign := false
	for _, by := range rule.BlockedBy {
		at := slices.IndexFunc(t.files, func(c *mirrorfiles.Content) bool { return by.Name == fileName(slices.Index(t.files, c)) })
		if at < 0 {
			foreign = true
			continue
		}
		blocking := entryOf(t.files[at], by)
		if blocking.Blocks {
			foreign = foreign || at != file
			continue
		}
		of := fmt.Sprintf("the mirror %q of source %q", mirror, e.Source)
		switch {
		case at != file:
			of += " in " + t.files[file].Place
		case blocking.Source == e.Source:
			of = fmt.Sprintf("its own mirror %q", mirror)
		}
		return &conflict{at, blocking.Source, fmt.Sprintf("its images are not pulled from the source itself, but %s is part of it, and a set that blocks the source blocks that mirror too", of)}
	}
	if foreign {
		return &conflict{file, e.Source, fmt.Sprintf("its mirror %q is part of source %q, which another part of this conversion blocks", mirror, rule.Source)}
	}
	return nil
}

// blockedAt returns the rule that blocks a place; nil where none does.
func (t *together) blockedAt(place string) *mirrors.Rule {
	if rule := t.index.Find(mirrors.Scope(place)); rule != nil && rule.Blocked {
		return rule
	}
	return nil
}

// blocker returns the rule that keeps a place from being asked as a mirror by who reads the file.
func (t *together) blocker(file int, place string) *mirrors.Rule {
	rule := t.blockedAt(place)
	host := mirrors.Scope(place).Host()
	if name, _, hasPort := strings.Cut(host, ":"); rule == nil && hasPort && t.files[file].Readers {
		return t.blockedAt(name + place[len(host):]) // CRI-O and Podman find a host with any port (Q2)
	}
	return rule
}

// asks reports whether a mirror is contacted for images below a source, if nothing is blocked. Some names are not valid names of a
// repository (Q3).
func asks(e *mirrorfiles.Entry, mirror, name string) bool {
	rules := []mirrors.Rule{{Source: mirrors.Scope(e.Source), Mirrors: []mirrors.Mirror{{Location: mirrors.Scope(mirror), Modes: e.Mode}}}}
	return len(mirrors.NewIndex(rules).Resolve(mirrors.Reference{Name: name, Mode: e.Mode}).PullSources) > 1
}

// probes are what stands behind the source in the names to look at: any image, and those that a mirror has in a blocked source.
func (t *together) probes(e *mirrorfiles.Entry) []string {
	const image = "/probe/image"
	rests := []string{image}
	if mirrors.Scope(e.Source).Path() != "" {
		rests = append(rests, "")
	}
	for _, place := range e.Mirrors {
		for _, source := range t.blocked {
			if mirror := mirrors.Scope(place); source != mirror && mirror.Contains(source) {
				rests = append(rests, mirror.Rest(source)+image)
			}
		}
	}
	return rests
}

// entryOf returns the entry of a file that one of its set is.
func entryOf(file *mirrorfiles.Content, e mirrors.Entry) *mirrorfiles.Entry {
	at := 0
	for i := range file.Entries {
		if file.Entries[i].Mode != e.Kind.Mode {
			continue
		}
		if at == e.Index {
			return &file.Entries[i]
		}
		at++
	}
	return &mirrorfiles.Entry{}
}

// isRepeated reports whether a file has other entries with an entry's source and mode. Such entries are merged like the entries of sets.
func isRepeated(file *mirrorfiles.Content, e *mirrorfiles.Entry) bool {
	return slices.ContainsFunc(file.Entries, func(other mirrorfiles.Entry) bool {
		return other.Source == e.Source && other.Mode == e.Mode && !slices.Equal(other.Mirrors, e.Mirrors)
	})
}

// withdraw removes the entries of a source. If its images would then get the mirrors of a broader source, the entries stay as carve-outs.
func withdraw(files []*mirrorfiles.Content, file int, source string) {
	of := files[file]
	of.Entries = slices.DeleteFunc(of.Entries, func(e mirrorfiles.Entry) bool {
		return e.Source == source && !slices.ContainsFunc(files, func(other *mirrorfiles.Content) bool { return hasAbove(other, &e) })
	})
	for i := range of.Entries {
		if e := &of.Entries[i]; e.Source == source {
			e.Mirrors, e.Policy, e.Blocks = nil, "", false
		}
	}
}

// hasAbove reports whether a file has an entry for a broader source than the source of an entry.
func hasAbove(file *mirrorfiles.Content, e *mirrorfiles.Entry) bool {
	return slices.ContainsFunc(file.Entries, func(other mirrorfiles.Entry) bool {
		return other.Mode == e.Mode && other.Source != e.Source && mirrorfiles.Encloses(other.Source, e.Source)
	})
}

// names quotes places for people.
func names(places []string) string {
	if len(places) == 0 {
		return "nowhere"
	}
	quoted := make([]string, len(places))
	for i, place := range places {
		quoted[i] = fmt.Sprintf("%q", place)
	}
	return strings.Join(quoted, ", ")
}
