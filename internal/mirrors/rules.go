// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mirrors is the meaning of sets of mirrors: [Merge] turns all sets of a cluster into the rules that are in
// force and findings about what is odd, and an [Index] over rules answers where an image is pulled from. It is pure: the
// same objects give the same result, in whatever order they come.
//
// The rule numbers in its comments (E1, M3, L2, Q4, ...) are those of docs/semantics.md.
package mirrors

import (
	"fmt"
	"maps"
	"slices"
)

// Rule is what is in force for one source: the merged will of all entries that name it.
type Rule struct {
	Source Scope
	// Mirrors are tried in this order before the source. The source itself may be among them (M4).
	Mirrors []Mirror
	// Blocked says that the source is never contacted, whether by digest or by tag.
	Blocked bool
	// Insecure allows the source to be contacted over plain HTTP or without a certificate check.
	Insecure bool
	// From are all entries that have a part in the rule, in the order of objects and entries.
	From []Entry
	// BlockedBy are the entries that block the source.
	BlockedBy []Entry
}

// Validate tells what about the rule could not have come out of [Merge]: a source or mirror outside the grammar, a mirror
// that fails every pull (E3), or one that stands there twice.
func (rule *Rule) Validate() error {
	if !sourceRegexp.MatchString(string(rule.Source)) {
		return fmt.Errorf("source %s is neither host[:port][/path] nor *.host", quote(rule.Source))
	}
	seen := make(map[Scope]bool, len(rule.Mirrors))
	for _, m := range rule.Mirrors {
		switch {
		case !mirrorRegexp.MatchString(string(m.Location)):
			return fmt.Errorf("mirror %s of source %s is not host[:port][/path]", quote(m.Location), quote(rule.Source))
		case poisons(rule.Source, m.Location) != "":
			return fmt.Errorf("mirror %s of source %s: %s", quote(m.Location), quote(rule.Source), poisons(rule.Source, m.Location))
		case seen[m.Location]:
			return fmt.Errorf("mirror %s of source %s is listed twice", quote(m.Location), quote(rule.Source))
		case rule.Blocked && m.Location == rule.Source:
			return fmt.Errorf("source %s is blocked and its own mirror", quote(rule.Source))
		}
		seen[m.Location] = true
	}
	return nil
}

// Mirror is one place that stands in for a source.
type Mirror struct {
	// Location replaces the part of a reference that the source matched.
	Location Scope
	// Modes are those of the references that the mirror is used for.
	Modes Mode
	// Insecure allows the mirror to be contacted over plain HTTP or without a certificate check.
	Insecure bool
	// From are the entries that list the mirror, in the order of objects and entries.
	From []Entry
}

// Input is all that rules depend on.
type Input struct {
	Sets []Set
	// Insecure are the scopes whose sources and mirrors are contacted without TLS checks.
	Insecure Scopes
}

// Result is what [Merge] makes of its input.
type Result struct {
	// Rules has one rule a source, in byte order of the source.
	Rules []Rule
	// Findings are sorted by the entries that they are about.
	Findings []Finding
}

// Merge applies sections 1 and 2 of the semantics to all sets, and looks over the rules that come out. It never fails:
// what cannot be used is left out and becomes a finding, and the rest stays in force.
func Merge(in Input) Result {
	r := &reader{blockers: make(map[Scope]string)}
	bySource := r.read(in.Sets)
	rules := make([]Rule, 0, len(bySource))
	for _, source := range slices.Sorted(maps.Keys(bySource)) {
		rules = append(rules, r.mergeSource(source, bySource[source], in.Insecure))
	}
	r.review(rules)
	sortFindings(r.findings)
	return Result{Rules: rules, Findings: r.findings}
}

// mergeSource makes the one rule of a source (M1 to M5).
func (r *reader) mergeSource(source Scope, statements []statement, insecure Scopes) Rule {
	rule := Rule{Source: source, Insecure: insecure.contain(source)}
	var allowedBy, withMirrors []Entry
	var lists [][]Scope
	for _, s := range statements {
		rule.From = append(rule.From, s.entry)
		if s.blocks {
			rule.BlockedBy = append(rule.BlockedBy, s.entry)
		}
		if s.allows {
			allowedBy = append(allowedBy, s.entry)
		}
		if len(s.mirrors) > 0 {
			withMirrors = append(withMirrors, s.entry)
			lists = append(lists, s.mirrors)
		}
	}
	if rule.Blocked = len(rule.BlockedBy) > 0; rule.Blocked {
		r.withoutSource(source, withMirrors, lists)
		if len(allowedBy) > 0 {
			r.find(PolicyConflict, source, joined(rule.BlockedBy, allowedBy),
				"source %s is blocked by the policy NeverContactSource of %s, although %s would allow contacting it",
				quote(source), Names(rule.BlockedBy), Names(allowedBy))
		}
	}
	rule.Mirrors = r.mergeMirrors(source, withMirrors, lists, insecure)
	return rule
}

// withoutSource takes a blocked source off the mirror lists (M5).
func (r *reader) withoutSource(source Scope, entries []Entry, lists [][]Scope) {
	for i, list := range lists {
		if at := slices.Index(list, source); at >= 0 {
			lists[i] = slices.Concat(list[:at], list[at+1:])
			r.find(SourceInOwnMirrors, source, []Entry{entries[i]}, "source %s is blocked, so it is left out of its own mirrors", quote(source))
		}
	}
}

// mergeMirrors joins the lists, which stand in the entries of the same index.
func (r *reader) mergeMirrors(source Scope, entries []Entry, lists [][]Scope, insecure Scopes) []Mirror {
	order, conflicts := mergeLists(source, lists)
	if n := len(order); n > 0 && order[n-1] == source {
		order = order[:n-1] // the source is tried last anyhow (M4)
	}
	from := make(map[Scope][]Entry, len(order))
	for i, list := range lists {
		for _, m := range list {
			from[m] = append(from[m], entries[i])
		}
	}
	for _, members := range conflicts {
		involved := involvedIn(members, entries, lists)
		r.find(OrderConflict, source, involved, "the mirror lists for source %s contradict each other about the order of %s (in %s); they are tried in the order in which they first appear",
			quote(source), enumerate(quoteAll(members)), Names(involved))
	}
	if len(order) == 0 {
		return nil
	}
	mirrors := make([]Mirror, len(order))
	for i, m := range order {
		mirrors[i] = Mirror{Location: m, Modes: ByDigest, Insecure: insecure.contain(m), From: from[m]}
	}
	return mirrors
}

// involvedIn returns the entries whose lists say something about the order of the mirrors.
func involvedIn(mirrors []Scope, entries []Entry, lists [][]Scope) []Entry {
	var involved []Entry
	member := make(map[Scope]bool, len(mirrors))
	for _, m := range mirrors {
		member[m] = true
	}
	for i, list := range lists {
		named := 0
		for _, m := range list {
			if member[m] {
				named++
			}
		}
		if named > 1 {
			involved = append(involved, entries[i])
		}
	}
	return involved
}

// joined returns the entries of both, in the order of objects and entries.
func joined(a, b []Entry) []Entry {
	return slices.SortedFunc(slices.Values(slices.Concat(a, b)), compareEntries)
}
