// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import "slices"

// keepBlocked returns the blocked sources, with the statements about them in sets that are not in shadow mode. These are the sources that
// would be blocked without the sets in shadow mode, and also with these enforced (V3). It is nil where no set is in shadow mode. The
// statements in force are not enough for that. A watched statement replaces the statement of a broader source, and blocks nothing itself.
func (m *merger) keepBlocked(inForce map[Scope]*said) map[Scope]*said {
	differ := len(m.failsOpen) > 0
	for _, s := range inForce {
		differ = differ || slices.ContainsFunc(s[:], func(o opinion) bool { return slices.ContainsFunc(o.statements, ofShadow) })
	}
	if !differ {
		return nil
	}
	without, enforced := make(map[Scope]*said, len(inForce)), make(map[Scope]*said, len(inForce))
	for source, s := range inForce {
		others, all := said{}, *s
		for i := range s {
			others[i].statements = slices.DeleteFunc(slices.Clone(s[i].statements), ofShadow)
		}
		without[source], enforced[source] = &others, &all
	}
	for source, open := range m.failsOpen {
		if enforced[source] == nil {
			without[source], enforced[source] = &said{}, &said{}
		}
		for _, s := range open {
			o := &enforced[source][slices.Index(modes[:], s.entry.Kind.Mode)]
			o.statements = append(slices.Clip(o.statements), s)
		}
	}
	kept, others := make(map[Scope]*said), inherit(without)
	for source, s := range inherit(enforced) {
		if s.wouldBlock() && others[source].blocks() {
			kept[source] = others[source]
		}
	}
	return kept
}

// addKept adds sources that need a rule to stay blocked although the only entries that name them are left out. For such a source, the
// nearest broader source in force is open, and a statement that is not in shadow mode blocks it.
func (m *merger) addKept(inForce map[Scope]*said) {
	if len(m.failsOpen) == 0 {
		return
	}
	sources := make([]Rule, 0, len(inForce))
	for source := range inForce {
		sources = append(sources, Rule{Source: source})
	}
	x := NewIndex(sources)
	for source := range m.failsOpen {
		if _, isKept := m.kept[source]; !isKept || inForce[source] != nil {
			continue
		}
		if broader := x.Enclosing(source); broader != nil {
			if _, isBlocked := m.kept[broader.Source]; !isBlocked {
				inForce[source] = &said{}
			}
		}
	}
}

// policies returns the statements of sets that decide whether a source may be contacted. The statements that count for its mirrors may be
// watched, or let the source be contacted, while other statements keep it blocked. Then the other statements count (V3).
func (m *merger) policies(source Scope, all *said) *said {
	kept, isKept := m.kept[source]
	if !isKept {
		return all
	}
	blocks, counts := all.blocks(), *all
	for i, o := range all {
		if !o.blocks() && kept[i].blocks() && (!blocks || slices.ContainsFunc(o.statements, watching)) {
			counts[i] = kept[i]
		}
	}
	return &counts
}
