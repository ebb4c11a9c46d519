// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

// Keeps reports whether rules take nothing away from what earlier ones gave: each source is still there, blocked and insecure if it was, with
// each of its mirrors for all references that it was for; and nothing is open that was blocked with a broader source. The order of
// mirrors does not count (P2).
func Keeps(after, before []Rule) bool {
	now, was := NewIndex(after), NewIndex(before)
	for i := range before {
		if kept := now.at(before[i].Source); kept == nil || !kept.keeps(&before[i]) {
			return false
		}
	}
	for i := range after {
		if after[i].Blocked || was.at(after[i].Source) != nil {
			continue
		}
		if broader := was.enclosing(after[i].Source); broader != nil && broader.Blocked {
			return false
		}
	}
	return true
}

// at returns the rule of this very source; nil where there is none.
func (x *Index) at(source Scope) *Rule {
	if domain, ok := source.domain(); ok {
		return x.byDomain[domain]
	}
	return x.bySource[source]
}

// keeps reports whether a rule of the same source takes nothing away from an earlier one.
func (rule *Rule) keeps(before *Rule) bool {
	if before.Blocked && !rule.Blocked || before.Insecure && !rule.Insecure {
		return false
	}
	all, insecure := make(map[Scope]Mode, len(rule.Mirrors)), make(map[Scope]Mode)
	for _, m := range rule.Mirrors {
		all[m.Location] |= m.Modes
		if m.Insecure {
			insecure[m.Location] |= m.Modes
		}
	}
	for _, m := range before.Mirrors {
		kept := all[m.Location]
		if m.Insecure {
			kept = insecure[m.Location]
		}
		if m.Modes&^kept != 0 {
			return false
		}
	}
	return true
}
