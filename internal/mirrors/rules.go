// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mirrors defines the meaning of sets of mirrors. [Merge] merges all sets of a cluster into the rules in force and into findings
// about entries. An [Index] over rules answers where an image is pulled from. The package is pure: the same objects give the same result,
// in any order.
//
// The rule numbers in its comments (E1, M3, T4, L2, Q4, ...) are those of docs/reference/semantics.md.
package mirrors

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// Rule is what is in force for one source: the merged content of all entries that name it.
type Rule struct {
	Source Scope
	// Mirrors are tried in this order before the source, each for references of its modes. Mirrors for digests come before mirrors for tags
	// (T7). The source itself may be among them (M4).
	Mirrors []Mirror
	// Blocked means that the source is never contacted, by digest or by tag (T5).
	Blocked bool
	// Insecure allows the source to be contacted over plain HTTP or without a certificate check.
	Insecure bool
	// From are all entries that name the source and have a part in the rule, in the order of objects and entries.
	From []Entry
	// BlockedBy are the entries that block the source. They may be those of a broader source (T4), which the rule may have nothing else of (V3).
	BlockedBy []Entry
	// Inherited is what the rule has of broader sources, by their modes.
	Inherited []Inheritance
}

// Inheritance is what a rule inherits from a broader source, for the references of a mode that it has no entry for (T4).
type Inheritance struct {
	Mode Mode
	// Source is the broader one.
	Source Scope
	// From are that one's entries of the mode.
	From []Entry
	// TooLong are the mirrors of the broader source that are left out here, because no image has so long a name.
	TooLong []Scope
}

// Entries returns all entries that have a part in the rule, those of broader sources too, in the order of objects and entries.
func (rule *Rule) Entries() []Entry {
	all := slices.Clip(rule.From)
	if len(rule.Inherited) == 0 && len(rule.BlockedBy) == 0 {
		return all
	}
	for _, i := range rule.Inherited {
		all = joined(all, i.From)
	}
	return slices.Compact(joined(all, rule.BlockedBy))
}

// inherits reports whether all that the rule has for these modes is inherited.
func (rule *Rule) inherits(these Mode) bool {
	for _, i := range rule.Inherited {
		these &^= i.Mode
	}
	return these == 0
}

// EntriesFor returns the entries that determine the rule for a mode, even if it has no mirrors.
func (rule *Rule) EntriesFor(mode Mode) []Entry {
	return slices.DeleteFunc(slices.Clone(rule.Entries()), func(e Entry) bool { return e.Kind.Mode != mode })
}

// NoneServes reports whether the source is blocked and no mirror can ever serve a mode, because the only mirrors that sets name cannot
// exist ([Scope.CannotExist]). Anyone who writes such an entry wants the pull refused (E5).
func (rule *Rule) NoneServes(mode Mode) bool {
	if !rule.Blocked {
		return false
	}
	named := rule.NamedFor(mode)
	return len(named) > 0 && !slices.ContainsFunc(named, func(m Mirror) bool { return !m.Location.CannotExist() })
}

// NamedFor returns the mirrors for references of a mode. If there are none, it returns the mirrors for the other mode.
func (rule *Rule) NamedFor(mode Mode) []Mirror {
	if named := rule.MirrorsFor(mode); len(named) > 0 {
		return named
	}
	return rule.Mirrors
}

// MirrorsFor returns the mirrors that are used for references of a mode.
func (rule *Rule) MirrorsFor(mode Mode) []Mirror {
	return slices.DeleteFunc(slices.Clone(rule.Mirrors), func(m Mirror) bool { return m.Modes&mode == 0 })
}

// Mirror is one mirror of a source.
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

// Validate returns why [Merge] cannot have returned the rule. The rule can have a source or mirror outside the grammar, or a mirror that
// fails every pull (E3). It can also have a mirror twice for the same references, or another order of modes (T7).
func (rule *Rule) Validate() error {
	if !value.Source.Takes(string(rule.Source)) {
		return fmt.Errorf("source %s is neither host[:port][/path] nor *.host", quote(rule.Source))
	}
	seen := make(map[Scope]Mode, len(rule.Mirrors))
	for _, m := range rule.Mirrors {
		switch {
		case !value.Mirror.Takes(string(m.Location)):
			return fmt.Errorf("mirror %s of source %s is not host[:port][/path]", quote(m.Location), quote(rule.Source))
		case poisons(rule.Source, m.Location) != "":
			return fmt.Errorf("mirror %s of source %s: %s", quote(m.Location), quote(rule.Source), poisons(rule.Source, m.Location))
		case seen[m.Location]&m.Modes != 0:
			return fmt.Errorf("mirror %s of source %s is listed twice", quote(m.Location), quote(rule.Source))
		case rule.Blocked && m.Location == rule.Source:
			return fmt.Errorf("source %s is blocked, but is one of its own mirrors", quote(rule.Source))
		}
		seen[m.Location] |= m.Modes
	}
	if !slices.EqualFunc(rule.Mirrors, sideBySide(rule.MirrorsFor(ByDigest), rule.MirrorsFor(ByTag)), sameUse) {
		return fmt.Errorf("the mirrors of source %s are in the wrong order: mirrors for digests first, then mirrors for tags, and a list that serves both only once", quote(rule.Source))
	}
	return nil
}

// sameUse reports whether two mirrors are the same place, with the same use.
func sameUse(a, b Mirror) bool {
	return a.Location == b.Location && a.Modes == b.Modes
}

// sideBySide joins the mirrors for digests and those for tags (T7). A mirror that is in both lists at the same point appears once, for both
// modes. It takes the lists over, and changes them.
func sideBySide(digests, tags []Mirror) []Mirror {
	if slices.EqualFunc(digests, tags, func(a, b Mirror) bool { return a.Location == b.Location }) {
		for i := range digests {
			digests[i].Modes, digests[i].From = ByDigest|ByTag, joined(digests[i].From, tags[i].From)
		}
		return digests
	}
	for i := range digests {
		digests[i].Modes = ByDigest
	}
	for i := range tags {
		tags[i].Modes = ByTag
	}
	return append(digests, tags...)
}

// Input is all that rules depend on.
type Input struct {
	Sets []Set
	// Insecure are the scopes whose sources and mirrors are contacted without TLS checks. Sets can have more such mirrors (I1).
	Insecure Scopes
}

// Result is what [Merge] makes of its input.
type Result struct {
	// Rules has one rule per source, in byte order of the source.
	Rules []Rule
	// Findings are sorted by the entries that they are about.
	Findings []Finding
	// Insecure are the scopes of the input, for images that no rule is about.
	Insecure Scopes
	// Watched are the sources that would be blocked if no set were in shadow mode, and are not, in byte order (V3). They are found by
	// internal/mirrors/shadow, and not by [Merge].
	Watched []Watched
	// ShadowTooLarge means that nodes do not count what sets in shadow mode would have refused, because there is too much to watch (V4).
	ShadowTooLarge bool
	// TooLarge means that there would be more than [MaxMirrors] mirrors, so that no rules were made.
	TooLarge bool
}

// MaxMirrors is the limit for the mirrors of all rules together, including the entries that narrower sources inherit. A few small sets can
// ask for far more than a computer can hold, because each narrower source repeats what it inherits (T4). A registries.conf with so many
// mirrors would be larger than any that is published.
const MaxMirrors = 1 << 18

// ErrTooLarge explains that there are too many mirrors for anything to use, and what to do.
var ErrTooLarge = errors.New("the rules are too large to be published: they have more than 8 MiB as a registries.conf, or more than 262,144 mirrors and inherited entries. Each source without an entry of one kind repeats all mirrors of that kind from the broader source (T4). " +
	"Give the broader source fewer mirrors, or name fewer sources below it")

// Merge applies sections 1 and 2 of the semantics to all sets, and looks over the rules that come out. It never fails:
// what cannot be used is left out and becomes a finding, and the rest stays in force. Where there would be too many mirrors to hold, it makes
// no rules at all (see [Result.TooLarge]).
func Merge(in Input) Result {
	m := merger{insecure: insecurity{in.Insecure, make(map[placed]bool)}, broad: make(map[inheritedFrom]broad), failsOpen: make(map[Scope][]statement)}
	bySource := m.read(in.Sets)
	m.kept = m.keepBlocked(bySource)
	m.addKept(bySource)
	all := inherit(bySource)
	if tooLarge(all) {
		sortFindings(m.findings)
		return Result{Findings: m.findings, Insecure: in.Insecure, TooLarge: true}
	}
	rules := make([]Rule, 0, len(bySource))
	for _, source := range slices.Sorted(maps.Keys(bySource)) {
		rules = append(rules, m.mergeSource(source, all[source]))
	}
	m.review(rules, all)
	sortFindings(m.findings)
	return Result{Rules: rules, Findings: m.findings, Insecure: in.Insecure}
}
