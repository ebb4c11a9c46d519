// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// The bounds of messages.
const (
	maxNodesNamed    = 10
	maxFindingsNamed = 10
	maxNote          = 1024
)

// judged is what all sets come to.
type judged struct {
	findings map[mirrors.Object][]mirrors.Finding
	used     map[mirrors.Object]bool // sets of which at least one entry is in a rule
}

func judge(result mirrors.Result) judged {
	j := judged{findings: make(map[mirrors.Object][]mirrors.Finding), used: make(map[mirrors.Object]bool)}
	for _, f := range result.Findings {
		for _, set := range mirrors.Objects(f.Entries) {
			j.findings[set] = append(j.findings[set], f)
		}
	}
	for i := range result.Rules {
		for _, e := range result.Rules[i].From {
			j.used[e.Object] = true
		}
	}
	return j
}

// setStatus is what a set's status is to be, given what it was and where the nodes are.
func setStatus(set *kinds.Set, before configv1.MirrorSetStatus, j judged, members []fleet.Member, published *Snapshot, now metav1.Time) configv1.MirrorSetStatus {
	status := configv1.MirrorSetStatus{ObservedGeneration: set.GetGeneration()}
	for _, c := range before.Conditions { // those of others are not ours to keep
		if c.Type == configv1.ConditionAccepted || c.Type == configv1.ConditionApplied {
			status.Conditions = append(status.Conditions, c)
		}
	}
	if before.ObservedGeneration == set.GetGeneration() {
		status.Revision = before.Revision
	}
	if status.Revision == 0 && published.Held == "" {
		status.Revision = published.Revision
	}
	sources, mirrorsNamed := namedBy(set)
	status.Sources, status.Mirrors = number(len(sources)), number(mirrorsNamed)
	findings := j.findings[set.Ref()]
	for _, f := range findings[:min(len(findings), configv1.MaxFindings)] {
		status.Findings = append(status.Findings, configv1.Finding{Reason: string(f.Reason), Message: f.Message, Entry: entryOf(f, set.Ref())})
	}
	accepted := acceptance(set, findings, j.used[set.Ref()])
	applied := application(before, status, sources, members, published)
	for _, c := range []metav1.Condition{accepted, applied} {
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

// entryOf returns the entry of the set that a finding is about; nil where it is about several.
func entryOf(f mirrors.Finding, set mirrors.Object) *int32 {
	var entry *int32
	for _, e := range f.Entries {
		if e.Object != set {
			continue
		}
		if entry != nil {
			return nil
		}
		entry = number(e.Index)
	}
	return entry
}

// acceptance tells whether every entry of a set is used, or which are not and why.
func acceptance(set *kinds.Set, findings []mirrors.Finding, used bool) metav1.Condition {
	condition := metav1.Condition{Type: configv1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: configv1.ReasonAllEntriesAccepted, Message: "every entry is used"}
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
		condition.Message = strings.Join(left[:min(len(left), maxFindingsNamed)], "\n")
		if more := len(left) - maxFindingsNamed; more > 0 {
			condition.Message += fmt.Sprintf("\nand %d more", more)
		}
	}
	if more := len(findings) - configv1.MaxFindings; more > 0 {
		condition.Message += fmt.Sprintf("\n%d findings are not listed", more)
	}
	return condition
}

// application tells on how many nodes this generation of a set is in force. Once it was on all, it stays so: a node that joins
// starts with the set.
func application(before, status configv1.MirrorSetStatus, sources map[string]bool, members []fleet.Member, published *Snapshot) metav1.Condition {
	if was := meta.FindStatusCondition(before.Conditions, configv1.ConditionApplied); was != nil && was.Status == metav1.ConditionTrue && was.ObservedGeneration == status.ObservedGeneration {
		return *was
	}
	condition := metav1.Condition{Type: configv1.ConditionApplied, Status: metav1.ConditionFalse}
	if status.Revision == 0 {
		condition.Reason, condition.Message = configv1.ReasonNotPublished, published.Held
		return condition
	}
	var late, broken []string
	reached := 0
	for _, m := range members {
		where, why := standing.OfSources(&m.Status, status.Revision, sources, published.published())
		named := m.Name
		if why != "" {
			named += " (" + cut(why) + ")"
		}
		switch where {
		case standing.InForce:
			reached++
		case standing.Behind:
			late = append(late, named)
		case standing.Failing:
			broken = append(broken, named)
		}
	}
	condition.Message = fmt.Sprintf("in force on %d of %d nodes", reached, len(members))
	switch {
	case len(members) == 0:
		condition.Reason, condition.Message = configv1.ReasonNoNodes, "there is no node with an agent"
	case len(broken) > 0:
		condition.Reason = configv1.ReasonNodesFailing
		condition.Message += "; failing: " + enumerate(broken)
	case len(late) > 0:
		condition.Reason = configv1.ReasonProgressing
		if len(late) <= maxNodesNamed {
			condition.Message += "; waiting for " + enumerate(late)
		}
	default:
		condition.Status, condition.Reason = metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes
		condition.Message = fmt.Sprintf("in force on all %d nodes", len(members))
	}
	return condition
}

// cut returns the first line of a message, in a length that others leave room for.
func cut(message string) string {
	line, _, _ := strings.Cut(message, "\n")
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "..."
	}
	return line
}

// enumerate joins the first names, and counts the others.
func enumerate(names []string) string {
	text := strings.Join(names[:min(len(names), maxNodesNamed)], ", ")
	if more := len(names) - maxNodesNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
