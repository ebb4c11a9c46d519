// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"slices"
	"strings"
)

// inheritMirrors returns the mirrors that a source inherits from a broader source (T4): each mirror of that source with the rest of the
// path appended. It leaves out mirrors that no image would have a name for. Other problems with them are reported for the broader source.
func (m *merger) inheritMirrors(source Scope, o opinion, blocked bool) (inherited []Mirror, tooLong []Scope) {
	rest := Scope(o.from.Rest(source))
	b := m.broader(o)
	if b.namesItself || slices.ContainsFunc(b.mirrors, func(b Mirror) bool { return changesWith(b.Location, rest, source) }) {
		return m.inheritOneByOne(source, o, blocked)
	}
	inherited = make([]Mirror, len(b.mirrors))
	for i, from := range b.mirrors { // the order of lists is that of the same lists by other names
		narrower := from.Location + rest
		inherited[i] = Mirror{Location: narrower, Insecure: from.Insecure || m.insecure.of(source, narrower), From: from.From}
	}
	return inherited, nil
}

// changesWith reports whether a mirror with the rest of a path may be too long. The same applies to the source itself, which is the last in
// the list (M4).
func changesWith(mirror, rest, source Scope) bool {
	length := len(mirror) + len(rest)
	return length+len("/x") > MaxNameLength || length == len(source) && strings.HasPrefix(string(source), string(mirror))
}

// broad is what a source hands down to narrower ones.
type broad struct {
	mirrors []Mirror
	// namesItself says that the source is among its own mirrors.
	namesItself bool
}

// broader returns the mirrors of the source that an opinion is inherited from. They are merged once for all that inherit them.
func (m *merger) broader(o opinion) broad {
	key := inheritedFrom{o.from, o.statements[0].entry.Kind.Mode} // that of all of its statements
	b, ok := m.broad[key]
	if !ok {
		l := o.lists()
		b.namesItself = slices.ContainsFunc(l.mirrors, func(list []Scope) bool { return slices.Contains(list, o.from) })
		b.mirrors, _ = l.merge(o.from, m.insecure)
		m.broad[key] = b
	}
	return b
}

type inheritedFrom struct {
	source Scope
	mode   Mode
}

// inheritOneByOne narrows the lists before it merges them, because narrowing changes what they say about the order.
func (m *merger) inheritOneByOne(source Scope, o opinion, blocked bool) (inherited []Mirror, tooLong []Scope) {
	l := o.lists()
	for i, list := range l.mirrors {
		narrow := make([]Scope, 0, len(list))
		for _, location := range list {
			switch narrower := location + Scope(o.from.Rest(source)); {
			case location == o.from:
				narrow = append(narrow, source)
			case poisons(source, narrower) == "":
				narrow = append(narrow, narrower)
				if narrower != source && m.insecure.of(o.from, location) {
					m.insecure.mark(source, narrower)
				}
			default: // it is too long, because the other rules hold for the broader mirror
				tooLong = append(tooLong, location)
			}
		}
		l.mirrors[i] = unique(narrow)
	}
	if blocked {
		l.remove(source)
	}
	inherited, _ = l.merge(source, m.insecure)
	return inherited, unique(tooLong)
}

// unique keeps the first of each value.
func unique(values []Scope) []Scope {
	seen := make(map[Scope]bool, len(values))
	kept := make([]Scope, 0, len(values))
	for _, v := range values {
		if !seen[v] {
			seen[v] = true
			kept = append(kept, v)
		}
	}
	return kept
}
