// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// Class is what a finding asks of an administrator.
type Class string

// The classes.
const (
	// LeftOut: a part of a set is not used.
	LeftOut Class = "LeftOut"
	// NoEffect: an entry is used, and no image is in its source.
	NoEffect Class = "NoEffect"
	// Attention: all is in force, and part of it may not be what was meant.
	Attention Class = "Attention"
	// Informational: no action is required.
	Informational Class = "Informational"
)

// Reason is the machine-readable name of a problem, in the form that conditions and events use.
type Reason string

// The reasons, with the rules of semantics.md that define them.
const (
	// InvalidSource: a source outside the grammar; its entry is left out (E1).
	InvalidSource Reason = "InvalidSource"
	// InvalidMirror: a mirror outside the grammar, or one that would fail every pull of its source (E1, E3).
	InvalidMirror Reason = "InvalidMirror"
	// InvalidPolicy: a policy that the API does not have; it counts as none (E1).
	InvalidPolicy Reason = "InvalidPolicy"
	// InvalidInsecureMirrors: a value of the annotation that is no scope; it is left out (I3).
	InvalidInsecureMirrors Reason = "InvalidInsecureMirrors"
	// InvalidEnforcement: a value of the annotation that means nothing; the policy is enforced (V3).
	InvalidEnforcement Reason = "InvalidEnforcement"
	// ShadowMode: NeverContactSource of a set is watched and not enforced; informational (V3).
	ShadowMode Reason = "ShadowMode"
	// ShadowTooLarge: nodes do not count what sets in shadow mode would have refused, because there is too much to watch (V4).
	ShadowTooLarge Reason = "ShadowTooLarge"
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
	// BlocksTagPulls: a blocked source refuses tags as well, because it has no mirrors for them; informational (L4, T6).
	BlocksTagPulls Reason = "BlocksTagPulls"
	// BlocksDigestPulls: a blocked source refuses digests as well, because it has no mirrors for them; informational (T6).
	BlocksDigestPulls Reason = "BlocksDigestPulls"
	// WildcardTie: registries.conf readers prefer a wildcard to a host of equal length (Q1).
	WildcardTie Reason = "WildcardTie"
	// InvalidRewrite: a mirror that makes references of its source invalid (Q3).
	InvalidRewrite Reason = "InvalidRewrite"
	// LongMirror: a mirror that leaves little room for the rest of a name; informational (E3).
	LongMirror Reason = "LongMirror"
	// InheritedTooLong: mirrors of a broader source that a narrower one does not get, because its images would have too long names
	// there (T4).
	InheritedTooLong Reason = "InheritedTooLong"
	// MirrorBlocked: a mirror is in a source that is blocked (Q4).
	MirrorBlocked Reason = "MirrorBlocked"
	// UnmatchableSource: a source that no canonical reference matches (Q5).
	UnmatchableSource Reason = "UnmatchableSource"
	// DockerHubNamespace: a source that an official image of Docker Hub has the name of; informational (Q5).
	DockerHubNamespace Reason = "DockerHubNamespace"
)

// classes lists each reason once. All code that treats reasons differently uses these classes.
var classes = map[Reason]Class{
	InvalidSource:          LeftOut,
	InvalidMirror:          LeftOut,
	InvalidPolicy:          LeftOut,
	InvalidInsecureMirrors: LeftOut,
	InvalidEnforcement:     LeftOut,
	UnmatchableSource:      NoEffect,
	PolicyWithoutMirrors:   Attention,
	CarveOutOpensBlocked:   Attention,
	OrderConflict:          Attention,
	PolicyConflict:         Attention,
	SourceInOwnMirrors:     Attention,
	WildcardTie:            Attention,
	InvalidRewrite:         Attention,
	InheritedTooLong:       Attention,
	MirrorBlocked:          Attention,
	ShadowTooLarge:         Attention,
	ShadowMode:             Informational,
	LongMirror:             Informational,
	WildcardCollapse:       Informational,
	BlocksTagPulls:         Informational,
	BlocksDigestPulls:      Informational,
	DockerHubNamespace:     Informational,
}

// Reasons returns all reasons in byte order, so that a reason without findings can be counted as 0.
func Reasons() []Reason {
	return slices.Sorted(maps.Keys(classes))
}

// Class returns what findings with this reason ask for. A reason that a later version wrote asks for attention.
func (r Reason) Class() Class {
	return cmp.Or(classes[r], Attention)
}

// Finding is one thing that an administrator should know about the sets. Warnings, conditions, events and metrics all use it.
type Finding struct {
	Reason Reason
	// Source is the source concerned, as written; empty where the finding is about an annotation.
	Source Scope
	// Entries are those concerned, in the order of objects and entries; never empty.
	Entries []Entry
	// Message is a sentence without the name of the object, unless it is about several. Values in it are quoted and cut to
	// a sane length.
	Message string
	// Blocks means that the entries block the source, or would if they could be used. That counts for both modes (T5).
	Blocks bool
}

// Class returns what the finding asks for.
func (f Finding) Class() Class {
	return f.Reason.Class()
}

// mirrorPlace is the position of a mirror in its entry, as messages write it.
var mirrorPlace = regexp.MustCompile(`mirrors\[[0-9, ]+(and [0-9]+ more)?\]`)

// Key is the same for findings that differ in the places of entries and mirrors alone.
func (f Finding) Key() string {
	return fmt.Sprintf("%q %q %q %q", f.Reason, f.Source, Objects(f.Entries), mirrorPlace.ReplaceAllString(f.Message, "mirror"))
}

// Path names the entries concerned as a JSON path does, where they are those of one object.
func (f Finding) Path() string {
	indexes := make([]string, 0, len(f.Entries))
	for _, e := range f.Entries {
		if e.Object != f.Entries[0].Object {
			return ""
		}
		if e.Index < 0 {
			return e.Path()
		}
		indexes = append(indexes, strconv.Itoa(e.Index))
	}
	return f.Entries[0].Kind.path(enumerate(indexes))
}

// Found adds findings about what sets were merged to.
func (r *Result) Found(more ...Finding) {
	r.Findings = append(r.Findings, more...)
	sortFindings(r.Findings)
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
