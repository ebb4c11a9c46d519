// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package setstatus is pure: what the status of a set says, given what all sets were merged to and what nodes report, and when a
// change of it is worth a write. The rules are S1 to S7, V6 and V8 of docs/reference/semantics.md.
package setstatus

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// The bounds of messages.
const (
	maxNodesNamed    = 10
	maxFindingsNamed = 10
	maxWhy           = 300 // of what keeps one node
	maxMessage       = 16 << 10
)

// Published is what should be in force on the nodes.
type Published struct {
	standing.Published
	// Watched has the sources that nodes watch by it, and CanaryWatched those that canaries do (V4).
	Watched, CanaryWatched map[string]string
	// Held is why that is not what the sets say; empty where it is.
	Held string
	// Reason is that of sets which wait for it; empty for [configv1.ReasonNotPublished].
	Reason string
	// Out are the sets that have been taken back from all nodes (C6).
	Out map[mirrors.Object]bool
	// HeldForGood means that this does not change until somebody changes the sets.
	HeldForGood bool
}

// Judged is the result of all sets.
type Judged struct {
	findings  map[mirrors.Object][]mirrors.Finding
	used      map[mirrors.Object]bool            // sets that have at least one entry in a rule
	heirs     map[mirrors.Object][]mirrors.Scope // narrower sources that have mirrors, or a block, of a set (T4)
	faulty    map[mirrors.Object][]mirrors.Scope // mirrors that nodes report a fault of (V8)
	unspoken  map[mirrors.Object][]mirrors.Scope // mirrors that nodes reported, but without a current report about them
	watched   map[mirrors.Object]map[string]bool // sources that a set in shadow mode watches (V3)
	unwatched bool                               // they are too many to be watched (V4)
}

// Judge sorts what sets were merged to, and what nodes report of their mirrors, by the set that it is about.
func Judge(result mirrors.Result, f *Fleet) Judged {
	j := Judged{
		findings: make(map[mirrors.Object][]mirrors.Finding), used: make(map[mirrors.Object]bool), heirs: make(map[mirrors.Object][]mirrors.Scope),
		faulty: faulty(f.faults, result.Rules), unspoken: faulty(f.unspoken, result.Rules), watched: make(map[mirrors.Object]map[string]bool), unwatched: result.ShadowTooLarge,
	}
	for _, f := range result.Findings {
		for _, set := range mirrors.Objects(f.Entries) {
			j.findings[set] = append(j.findings[set], f)
		}
	}
	for i := range result.Rules {
		for _, e := range result.Rules[i].From {
			j.used[e.Object] = true
		}
		for _, inherited := range result.Rules[i].Inherited {
			for _, set := range mirrors.Objects(inherited.From) {
				j.heirs[set] = append(j.heirs[set], result.Rules[i].Source)
			}
		}
	}
	for _, w := range result.Watched {
		for _, set := range mirrors.Objects(w.By) {
			if j.watched[set] == nil {
				j.watched[set] = make(map[string]bool)
			}
			j.watched[set][string(w.Source)] = true
		}
	}
	return j
}

// ours are the conditions that a status has of us.
var ours = map[string]bool{
	configv1.ConditionAccepted: true, configv1.ConditionApplied: true, configv1.ConditionReady: true, configv1.ConditionStalled: true, configv1.ConditionMirrorsReachable: true,
}

// Of is what a set's status is to be, given what it was and where the nodes are.
func Of(set *kinds.Set, before configv1.MirrorSetStatus, j Judged, f Fleet, p *Published, now metav1.Time) configv1.MirrorSetStatus {
	status := configv1.MirrorSetStatus{ObservedGeneration: set.GetGeneration()}
	for _, c := range before.Conditions { // those of others are not ours to keep
		if ours[c.Type] {
			status.Conditions = append(status.Conditions, c)
		}
	}
	if before.ObservedGeneration == set.GetGeneration() {
		status.Revision = before.Revision
	}
	switch {
	case p.Out[set.Ref()]:
		status.Revision = 0
	case status.Revision == 0 && p.Held == "":
		status.Revision = p.Revision
	}
	sources, mirrorsNamed := namedBy(set)
	status.Sources, status.Mirrors = number(len(sources)), number(mirrorsNamed)
	for _, heir := range j.heirs[set.Ref()] { // where the set must be in force as well
		sources[string(heir)] = true
	}
	findings := j.findings[set.Ref()]
	for _, f := range findings[:min(len(findings), configv1.MaxFindings)] {
		status.Findings = append(status.Findings, configv1.Finding{Reason: string(f.Reason), Message: f.Message, Entry: entryOf(f, set.Ref())})
	}
	if isInShadowMode(set) && !j.unwatched {
		status.Shadow = f.shadow(before.Shadow, j.watched[set.Ref()], p)
	}
	accepted, applied := acceptance(set, findings, j.used[set.Ref()]), f.applied(before, status, sources, p)
	ready, stalled := ready(accepted, applied, p)
	conditions := []metav1.Condition{accepted, applied, ready, f.reachable(before, j.faulty[set.Ref()], j.unspoken[set.Ref()])}
	if stalled == nil {
		meta.RemoveStatusCondition(&status.Conditions, configv1.ConditionStalled)
	} else {
		conditions = append(conditions, *stalled)
	}
	for _, c := range conditions {
		c.ObservedGeneration, c.LastTransitionTime = set.GetGeneration(), now
		meta.SetStatusCondition(&status.Conditions, c)
	}
	return status
}

func number(n int) *int32 {
	small := int32(min(n, 1<<30)) //nolint:gosec // it fits
	return &small
}

// namedBy returns the sources that a set names, and how many different mirrors.
func namedBy(set *kinds.Set) (sources map[string]bool, mirrorsNamed int) {
	sources = make(map[string]bool)
	named := make(map[string]bool)
	for _, e := range set.Entries {
		sources[e.Source] = true
		for _, m := range e.Mirrors {
			named[m] = true
		}
	}
	return sources, len(named)
}

// entryOf returns the entry of the set that a finding is about; nil where it is about several, or about an annotation.
func entryOf(f mirrors.Finding, set mirrors.Object) *int32 {
	var entry *int32
	for _, e := range f.Entries {
		if e.Object != set || e.Index < 0 {
			continue
		}
		if entry != nil {
			return nil
		}
		entry = number(e.Index)
	}
	return entry
}

// acceptance returns whether every entry of a set is used, or which entries are not and why.
func acceptance(set *kinds.Set, findings []mirrors.Finding, used bool) metav1.Condition {
	condition := metav1.Condition{Type: configv1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: configv1.ReasonAllEntriesAccepted, Message: "Mirrorset uses every entry"}
	var left []string
	for _, f := range findings {
		if f.Class() == mirrors.LeftOut {
			left = append(left, f.Message)
		}
	}
	if len(left) > 0 {
		condition.Status, condition.Reason = metav1.ConditionFalse, configv1.ReasonPartsLeftOut
		if !used && len(set.Entries) > 0 {
			condition.Reason = configv1.ReasonNothingAccepted
		}
		named := left[:min(len(left), maxFindingsNamed)]
		for condition.Message = strings.Join(named, "\n"); len(condition.Message) > maxMessage && len(named) > 1; {
			named = named[:len(named)-1]
			condition.Message = strings.Join(named, "\n")
		}
		if more := len(left) - len(named); more > 0 {
			condition.Message += fmt.Sprintf("\nand %d more", more)
		}
	}
	if more := len(findings) - configv1.MaxFindings; more > 0 {
		condition.Message += fmt.Sprintf("\n%d findings are not listed", more)
	}
	return condition
}
