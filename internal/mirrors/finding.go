// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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
	// Message is a sentence without the name of the object, unless it is about several. Values in it are quoted and cut to
	// a sane length.
	Message string
}

// Path names the entries concerned as a JSON path does, where they are those of one object.
func (f Finding) Path() string {
	indexes := make([]string, 0, len(f.Entries))
	for _, e := range f.Entries {
		if e.Object != f.Entries[0].Object {
			return ""
		}
		indexes = append(indexes, strconv.Itoa(e.Index))
	}
	return "spec.imageDigestMirrors[" + enumerate(indexes) + "]"
}

// Objects returns the names of the objects that the entries stand in, each once, in the entries' order.
func Objects(entries []Entry) []string {
	seen := make(map[string]bool, len(entries))
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !seen[e.Object] {
			seen[e.Object] = true
			names = append(names, e.Object)
		}
	}
	return names
}

func sortFindings(findings []Finding) {
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			compareEntries(a.Entries[0], b.Entries[0]),
			cmp.Compare(a.Reason, b.Reason),
			cmp.Compare(a.Source, b.Source),
			cmp.Compare(a.Message, b.Message))
	})
}

// The bounds keep a message readable, whatever the input.
const (
	maxQuoted = 100
	maxNamed  = 10
)

// quote makes any value safe to print on one line.
func quote(value string) string {
	quoted := fmt.Sprintf("%.*q", maxQuoted, value)
	if utf8.RuneCountInString(value) > maxQuoted {
		quoted += "..."
	}
	return quoted
}

// enumerate joins the first values, and counts the others.
func enumerate(values []string) string {
	text := strings.Join(values[:min(len(values), maxNamed)], ", ")
	if more := len(values) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// quoteAll quotes the values that [enumerate] will name.
func quoteAll(values []string) []string {
	quoted := slices.Clone(values)
	for i := range quoted[:min(len(values), maxNamed)] {
		quoted[i] = quote(values[i])
	}
	return quoted
}

// plainName is what the API server lets an object be called.
var plainName = regexp.MustCompile(`^[a-z0-9.-]{1,253}$`)

// Names returns the names of the objects that the entries stand in for people to read, on one line and not too many.
func Names(entries []Entry) string {
	objects := Objects(entries)
	for i := range objects[:min(len(objects), maxNamed)] {
		if !plainName.MatchString(objects[i]) {
			objects[i] = quote(objects[i])
		}
	}
	return enumerate(objects)
}
