// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors/order"
)

// mergeSource makes the one rule of a source (M1 to M5, T2 to T5, V3).
func (m *merger) mergeSource(source Scope, all *said) Rule {
	rule := Rule{Source: source, Insecure: m.insecure.scopes.Contain(source)}
	for i, o := range all {
		if o.from == "" {
			rule.From = o.appendEntries(rule.From, anyOf)
		} else {
			rule.Inherited = append(rule.Inherited, Inheritance{Mode: modes[i], Source: o.from, From: o.entries(anyOf)})
		}
	}
	policies := m.policies(source, all)
	for _, o := range policies {
		rule.BlockedBy = o.appendEntries(rule.BlockedBy, blocking)
	}
	rule.Blocked = policies.blocks()
	if len(rule.From) == 0 { // it is there for entries that are left out (V3)
		rule.From = opinion{statements: m.failsOpen[source]}.entries(anyOf)
	}
	slices.SortFunc(rule.From, compareEntries)
	slices.SortFunc(rule.BlockedBy, compareEntries)
	m.findPolicyConflicts(source, policies)
	var byMode [len(modes)][]Mirror
	for i, o := range all {
		if o.from == "" {
			byMode[i] = m.mergeMirrors(source, o.lists(), rule.Blocked)
			continue
		}
		at := slices.IndexFunc(rule.Inherited, func(in Inheritance) bool { return in.Mode == modes[i] })
		byMode[i], rule.Inherited[at].TooLong = m.inheritMirrors(source, o, rule.Blocked)
	}
	alike(byMode[:])
	rule.Mirrors = sideBySide(byMode[0], byMode[1])
	if len(rule.Mirrors) == 0 {
		rule.Mirrors = nil
	}
	return rule
}

// findPolicyConflicts finds entries of one mode that forbid what others allow (M5), and sources where only one mode forbids it (T5).
func (m *merger) findPolicyConflicts(source Scope, all *said) {
	const text = "source %s is blocked by NeverContactSource in %s, although %s would allow contacting it"
	for i, o := range all {
		blockedBy := o.entries(blocking)
		if len(blockedBy) == 0 {
			continue
		}
		if allowedBy := o.entries(allowing); len(allowedBy) > 0 && o.from == "" {
			m.find(PolicyConflict, source, joined(blockedBy, allowedBy), text, quote(source), Names(blockedBy), Names(allowedBy))
		}
		other := all[len(modes)-1-i]
		allowedBy := other.entries(enforced)
		if len(allowedBy) == 0 || other.blocks() {
			continue
		}
		remedy := ""
		if o.from != "" {
			remedy = "; to open it, name mirrors for it with the policy AllowContactingSource in an " + blockedBy[0].Kind.Name
		}
		m.find(PolicyConflict, source, joined(blockedBy, allowedBy), text+"%s", quote(source), Names(blockedBy), Names(allowedBy), remedy)
	}
}

// lists are the mirrors that entries name.
type lists struct {
	entries []Entry
	mirrors [][]Scope // of each entry
}

// lists returns those of the statements that name mirrors.
func (o opinion) lists() (l lists) {
	for i := range o.statements {
		if s := &o.statements[i]; len(s.mirrors) > 0 {
			l.entries, l.mirrors = append(l.entries, s.entry), append(l.mirrors, s.mirrors)
		}
	}
	return l
}

// mergeMirrors joins the lists of one mode in a source's own entries, and finds problems with them.
func (m *merger) mergeMirrors(source Scope, l lists, blocked bool) []Mirror {
	if blocked {
		for _, e := range l.remove(source) {
			m.find(SourceInOwnMirrors, source, []Entry{e}, "source %s is blocked, so it is ignored as its own mirror; remove it from the list", quote(source))
		}
	}
	merged, conflicts := l.merge(source, m.insecure)
	for i, involved := range l.involvedIn(conflicts) {
		members := conflicts[i]
		m.find(OrderConflict, source, involved, "the mirror lists for source %s disagree about the order of %s (in %s); nodes try them in the order in which they first appear",
			quote(source), enumerate(quoteAll(members)), Names(involved))
	}
	return merged
}

// merge joins the lists of a source (M1 to M4).
func (l lists) merge(source Scope, insecure insecurity) (merged []Mirror, conflicts [][]Scope) {
	if len(l.mirrors) == 0 {
		return nil, nil
	}
	all, conflicts := order.Merge(source, l.mirrors)
	if n := len(all); n > 0 && all[n-1] == source {
		all = all[:n-1] // the source is tried last anyhow (M4)
	}
	from := l.from(all)
	merged = make([]Mirror, len(all))
	for i, m := range all {
		merged[i] = Mirror{Location: m, Insecure: insecure.of(source, m), From: from(m)}
	}
	return merged, conflicts
}

// from returns a function that knows which entries list a mirror. All mirrors of one list share them.
func (l lists) from(all []Scope) func(Scope) []Entry {
	if len(l.mirrors) == 1 {
		return func(Scope) []Entry { return l.entries }
	}
	from := make(map[Scope][]Entry, len(all))
	for i, list := range l.mirrors {
		for _, m := range list {
			from[m] = append(from[m], l.entries[i])
		}
	}
	return func(m Scope) []Entry { return from[m] }
}

// remove takes a blocked source off the lists (M5), and returns the entries that name it.
func (l lists) remove(source Scope) (from []Entry) {
	for i, list := range l.mirrors {
		if at := slices.Index(list, source); at >= 0 {
			l.mirrors[i] = slices.Concat(list[:at], list[at+1:])
			from = append(from, l.entries[i])
		}
	}
	return from
}

// involvedIn returns, for each of several conflicts, the entries whose lists say something about the order of its mirrors. It goes through
// the lists once, because there may be very many conflicts in very long ones.
func (l lists) involvedIn(conflicts [][]Scope) [][]Entry {
	if len(conflicts) == 0 {
		return nil
	}
	of := make(map[Scope]int)
	for i, members := range conflicts {
		for _, m := range members {
			of[m] = i
		}
	}
	involved := make([][]Entry, len(conflicts))
	for i, list := range l.mirrors {
		named := make(map[int]int)
		for _, m := range list {
			conflict, is := of[m]
			if !is {
				continue
			}
			if named[conflict]++; named[conflict] == 2 {
				involved[conflict] = append(involved[conflict], l.entries[i])
			}
		}
	}
	return involved
}

// joined returns the entries of both, in the order of objects and entries.
func joined(a, b []Entry) []Entry {
	return slices.SortedFunc(slices.Values(slices.Concat(a, b)), compareEntries)
}
