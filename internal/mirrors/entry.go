// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"slices"
)

// statement is what one entry says once the rules E1 to E5 have been applied to it.
type statement struct {
	entry   Entry
	source  Scope
	mirrors []Scope // checked, each once; none in a carve-out
	blocks  bool    // NeverContactSource, with mirrors or by failing closed
	allows  bool    // has mirrors, and lets the source be contacted
}

// merger applies the rules to sets, and collects what it finds.
type merger struct {
	findings []Finding
}

// read returns the statements of all sets by source and mode, in the order of objects and entries (M2).
func (m *merger) read(sets []Set) map[Scope]*said {
	byName := slices.SortedStableFunc(slices.Values(sets), func(a, b Set) int { return compareObjects(a.Object, b.Object) })
	bySource := make(map[Scope]*said)
	for i := range byName {
		for j := range byName[i].Entries {
			entry := Entry{Object: byName[i].Object, Index: j}
			if s, ok := m.readEntry(entry, &byName[i].Entries[j]); ok {
				if bySource[s.source] == nil {
					bySource[s.source] = &said{}
				}
				o := &bySource[s.source][slices.Index(modes[:], entry.Kind.Mode)]
				o.statements = append(o.statements, s)
			}
		}
	}
	return bySource
}

// readEntry applies E1 to E5, in the order of E6. It returns false for an entry that is left out whole.
func (m *merger) readEntry(entry Entry, in *SetEntry) (statement, bool) {
	s := statement{entry: entry, source: Scope(in.Source)}
	if !sourceRegexp.MatchString(in.Source) {
		m.find(InvalidSource, s.source, []Entry{entry}, "source %s is neither host[:port][/path] nor *.host; the entry is left out", quote(in.Source)).Blocks = in.Policy == NeverContactSource
		return s, false
	}
	never, known := m.readPolicy(entry, in)
	kept := m.readMirrors(entry, in)
	lost := len(kept) < len(in.Mirrors)

	s.mirrors = unique(kept)
	onlySource := len(s.mirrors) == 1 && s.mirrors[0] == s.source
	if onlySource {
		s.mirrors = nil
	}
	switch {
	case len(s.mirrors) > 0:
		s.blocks, s.allows = never, !never
	case lost && never:
		s.blocks = true
		m.find(InvalidMirror, s.source, []Entry{entry}, "no usable mirror is left of this entry, and its policy is NeverContactSource: source %s is blocked", quote(s.source)).Blocks = true
	case lost && !onlySource:
		m.find(InvalidMirror, s.source, []Entry{entry}, "no usable mirror is left of this entry, which is left out: source %s", quote(s.source))
		return s, false
	case known && in.Policy != "":
		m.find(PolicyWithoutMirrors, s.source, []Entry{entry}, "policy %s of source %s has no effect, because the entry names no mirror other than the source", quote(in.Policy), quote(s.source))
	}
	return s, true
}

func (m *merger) readPolicy(entry Entry, in *SetEntry) (never, known bool) {
	switch in.Policy {
	case "", AllowContactingSource:
		return false, true
	case NeverContactSource:
		return true, true
	default:
		m.find(InvalidPolicy, Scope(in.Source), []Entry{entry}, "policy %s of source %s is not one of NeverContactSource, AllowContactingSource; it counts as none", quote(in.Policy), quote(in.Source))
		return false, false
	}
}

// readMirrors returns the mirrors that pass E1 and E3.
func (m *merger) readMirrors(entry Entry, in *SetEntry) []Scope {
	kept := make([]Scope, 0, len(in.Mirrors))
	for _, location := range in.Mirrors {
		why := "want host[:port][/path]"
		if mirrorRegexp.MatchString(location) {
			why = poisons(Scope(in.Source), Scope(location))
		}
		if why != "" {
			m.find(InvalidMirror, Scope(in.Source), []Entry{entry}, "mirror %s of source %s is left out: %s", quote(location), quote(in.Source), why)
			continue
		}
		kept = append(kept, Scope(location))
	}
	return kept
}

func (m *merger) find(reason Reason, source Scope, entries []Entry, format string, args ...any) *Finding {
	m.findings = append(m.findings, Finding{Reason: reason, Source: source, Entries: entries, Message: fmt.Sprintf(format, args...)})
	return &m.findings[len(m.findings)-1]
}

// unique keeps the first of each value (E2).
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
