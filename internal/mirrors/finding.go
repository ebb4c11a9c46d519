// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Reason is the machine-readable name of what is odd, in the form that conditions and events use.
type Reason string

// The reasons, with the rules of semantics.md that define them.
const (
	// InvalidSource: a source outside the grammar; its entry is left out (E1).
	InvalidSource Reason = "InvalidSource"
	// InvalidMirror: a mirror outside the grammar, or one that would fail every pull of its source (E1, E3).
	InvalidMirror Reason = "InvalidMirror"
	// InvalidPolicy: a policy that the API does not have; it counts as none (E1).
	InvalidPolicy Reason = "InvalidPolicy"
	// PolicyWithoutMirrors: a policy on an entry without mirrors, where it has no effect (E5).
	PolicyWithoutMirrors Reason = "PolicyWithoutMirrors"
	// CarveOutOpensBlocked: an entry without mirrors opens part of a blocked source (E5).
	CarveOutOpensBlocked Reason = "CarveOutOpensBlocked"
	// OrderConflict: lists that contradict each other about the order of mirrors (M3).
	OrderConflict Reason = "OrderConflict"
	// PolicyConflict: one entry forbids what another allows (M5).
	PolicyConflict Reason = "PolicyConflict"
	// SourceInOwnMirrors: a blocked source was taken off its own mirror list (M5).
	SourceInOwnMirrors Reason = "SourceInOwnMirrors"
	// WildcardCollapse: different hosts meet at one place on the mirror; informational (L3).
	WildcardCollapse Reason = "WildcardCollapse"
	// BlocksTagPulls: a blocked source refuses tags as well; informational (L4).
	BlocksTagPulls Reason = "BlocksTagPulls"
	// WildcardTie: registries.conf readers prefer a wildcard to a host of equal length (Q1).
	WildcardTie Reason = "WildcardTie"
	// InvalidRewrite: a mirror that makes some references of its source invalid (E3, Q3).
	InvalidRewrite Reason = "InvalidRewrite"
	// MirrorBlocked: a mirror lies in a source that is blocked (Q4).
	MirrorBlocked Reason = "MirrorBlocked"
	// UnmatchableSource: a source that no canonical reference matches (Q5).
	UnmatchableSource Reason = "UnmatchableSource"
)

// Entry names one element of spec.imageDigestMirrors of one object.
type Entry struct {
	// Object is the name of the ImageDigestMirrorSet.
	Object string
	// Index counts from 0, as in a JSON path.
	Index int
}

func compareEntries(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Index, b.Index))
}

// Finding is one thing that an administrator should know about the sets. It feeds warnings, conditions, events and
// metrics alike.
type Finding struct {
	Reason Reason
	// Source is the source concerned, as written.
	Source string
	// Entries are those concerned, in the order of objects and entries; never empty.
	Entries []Entry
	// Message is a sentence without the object's name. Values in it are quoted and cut to a sane length.
	Message string
}

// Objects returns the names of the objects concerned, each once, in order.
func (f Finding) Objects() []string {
	return Objects(f.Entries)
}

// Objects returns the names of the objects that the entries stand in, each once, in the entries' order.
func Objects(entries []Entry) []string {
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !slices.Contains(names, e.Object) {
			names = append(names, e.Object)
		}
	}
	return names
}

func sortFindings(findings []Finding) {
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			slices.CompareFunc(a.Entries, b.Entries, compareEntries),
			cmp.Compare(a.Reason, b.Reason),
			cmp.Compare(a.Message, b.Message))
	})
}

// The bounds keep a finding readable, and within what a condition or an event may hold, whatever the input.
const (
	maxQuoted = 100
	maxNamed  = 10
)

// quote makes any value safe to print on one line.
func quote(value string) string {
	return fmt.Sprintf("%.*q", maxQuoted, value)
}

// list joins the first values, quoted, and counts the others.
func list(values []string) string {
	quoted := make([]string, 0, maxNamed)
	for _, v := range values[:min(len(values), maxNamed)] {
		quoted = append(quoted, quote(v))
	}
	text := strings.Join(quoted, ", ")
	if more := len(values) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
