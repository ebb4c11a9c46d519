// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// statement is what one entry says once the rules E1 to E5 have been applied to it.
type statement struct {
	entry   Entry
	source  Scope
	mirrors []Scope // checked, each once; none in a carve-out
	places  []int   // of the mirrors, in the entry as written
	blocks  bool    // NeverContactSource, with mirrors or by failing closed
	allows  bool    // has mirrors, and lets the source be contacted
	watches bool    // NeverContactSource of a set in shadow mode, which neither blocks nor allows (V3)
	// inShadow means that the set is in shadow mode, with any policy.
	inShadow bool
}

// merger applies the rules to sets, and collects what it finds.
type merger struct {
	insecure insecurity
	findings []Finding
	// broad are the sources that narrower ones inherit from.
	broad map[inheritedFrom]broad
	// failsOpen are the statements, by source, of entries that are left out, and would block if they were enforced (E4, V3).
	failsOpen map[Scope][]statement
	// kept are the sources that are blocked although sets in shadow mode speak of them; nil where none is in shadow mode.
	kept map[Scope]*said
}

// read returns the statements of all sets by source and mode, in the order of objects and entries (M2).
func (m *merger) read(sets []Set) map[Scope]*said {
	byName := slices.SortedStableFunc(slices.Values(sets), func(a, b Set) int { return compareObjects(a.Object, b.Object) })
	entries := 0
	for i := range byName {
		entries += len(byName[i].Entries)
	}
	bySource := make(map[Scope]*said, entries)
	for i := range byName {
		insecure := m.readInsecure(&byName[i])
		m.readEnforcement(&byName[i])
		for j := range byName[i].Entries {
			entry := Entry{Object: byName[i].Object, Index: j}
			s, ok := m.readEntry(entry, &byName[i].Entries[j], byName[i].InShadowMode())
			if !ok {
				if s.watches {
					m.failsOpen[s.source] = append(m.failsOpen[s.source], s)
				}
				continue
			}
			if bySource[s.source] == nil {
				bySource[s.source] = &said{}
			}
			o := &bySource[s.source][slices.Index(modes[:], entry.Kind.Mode)]
			o.statements = append(o.statements, s)
			m.mark(s, insecure)
		}
	}
	return bySource
}

// readEntry applies E1 to E5, in the order of E6. It returns false for an entry that is left out completely.
func (m *merger) readEntry(entry Entry, in *SetEntry, inShadowMode bool) (statement, bool) {
	s := statement{entry: entry, source: Scope(in.Source), inShadow: inShadowMode}
	if !value.Source.Takes(in.Source) {
		m.find(InvalidSource, s.source, []Entry{entry}, "source %s is invalid, so the whole entry is ignored: %s", quote(in.Source), value.Wrong(in.Source, value.Source)).Blocks = in.Policy == NeverContactSource && !inShadowMode
		return s, false
	}
	never, known := m.readPolicy(entry, in)
	watched := never && inShadowMode
	never = never && !inShadowMode
	lost := s.readMirrors(in)
	onlySource := len(s.mirrors) == 1 && s.mirrors[0] == s.source
	if onlySource {
		s.mirrors, s.places = nil, nil
	}
	leftOut := false
	switch {
	case len(s.mirrors) > 0:
		s.blocks, s.watches, s.allows = never, watched, !never && !watched
	case len(lost) > 0 && never:
		s.blocks = true
		lost = append(lost, "no usable mirror is left, and the policy is NeverContactSource, so the source is blocked")
	case len(lost) > 0 && watched:
		s.watches, leftOut = true, !onlySource
		lost = append(lost, "no usable mirror is left, so the entry will block the source once the set is no longer in shadow mode")
	case len(lost) > 0 && !onlySource:
		leftOut = true
		lost = append(lost, "no usable mirror is left, so the entry is ignored")
	case known && in.Policy != "":
		m.find(PolicyWithoutMirrors, s.source, []Entry{entry}, "policy %s of source %s has no effect, because the entry names no mirror other than the source%s", quote(in.Policy), quote(s.source), howToBlock(in.Policy))
	}
	if len(lost) > 0 {
		m.find(InvalidMirror, s.source, []Entry{entry}, "source %s: %s", quote(in.Source), strings.Join(lost, "; ")).Blocks = s.blocks && len(s.mirrors) == 0
	}
	return s, !leftOut
}

// howToBlock explains how to block a source that has no mirror (E5).
func howToBlock(policy Policy) string {
	if policy != NeverContactSource {
		return ""
	}
	return "; to block the source, name a mirror that cannot exist: mirrors: [blocked.invalid]"
}

func (m *merger) readPolicy(entry Entry, in *SetEntry) (never, known bool) {
	switch in.Policy {
	case "", AllowContactingSource:
		return false, true
	case NeverContactSource:
		return true, true
	default:
		m.find(InvalidPolicy, Scope(in.Source), []Entry{entry}, "policy %s of source %s is unknown, so it is ignored; write NeverContactSource or AllowContactingSource, or remove the field", quote(in.Policy), quote(in.Source))
		return false, false
	}
}

// few is how many mirrors of one entry are compared with each other.
const few = 8

// maxExplained is how many mirrors of one entry are explained.
const maxExplained = 5

// readMirrors takes the mirrors that pass E1 and E3, each once (E2). It returns why the others do not pass, in order.
func (s *statement) readMirrors(in *SetEntry) (lost []string) {
	s.mirrors, s.places = make([]Scope, 0, len(in.Mirrors)), make([]int, 0, len(in.Mirrors))
	var seen map[Scope]bool // nil where there are so few that looking through them takes less time
	if len(in.Mirrors) > few {
		seen = make(map[Scope]bool, len(in.Mirrors))
	}
	more := 0
	for i, location := range in.Mirrors {
		mirror := Scope(location)
		why := ""
		if !value.Mirror.Takes(location) {
			why = value.Wrong(location, value.Mirror)
		} else {
			why = poisons(s.source, mirror)
		}
		switch {
		case why != "" && len(lost) == maxExplained:
			more++
		case why != "":
			lost = append(lost, fmt.Sprintf("mirrors[%d] %s is ignored: %s", i, quote(location), why))
		case seen[mirror], seen == nil && slices.Contains(s.mirrors, mirror):
		default:
			if seen != nil {
				seen[mirror] = true
			}
			s.mirrors, s.places = append(s.mirrors, mirror), append(s.places, i)
		}
	}
	if more > 0 {
		lost = append(lost, fmt.Sprintf("%d more are ignored", more))
	}
	return lost
}

func (m *merger) find(reason Reason, source Scope, entries []Entry, format string, args ...any) *Finding {
	m.findings = append(m.findings, Finding{Reason: reason, Source: source, Entries: entries, Message: fmt.Sprintf(format, args...)})
	return &m.findings[len(m.findings)-1]
}
