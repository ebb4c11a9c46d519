// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// maxMirrorsNamed bounds a message.
const maxMirrorsNamed = 10

// The messages where no node reports a fault. They stay true when nodes join or leave, so that such a change writes no set.
const (
	noFault    = "no node reports that it cannot pull from a mirror of this set; nodes notice that a mirror is down only when they pull from it"
	notSeen    = "no node sees pulls, because that needs containerd and the redirector of the node's agent"
	fellSilent = "the agents of the nodes that saw pulls no longer report; to see why, run: kubectl get mirrornodes -o wide"
	notRead    = "the manager cannot read the reports of the nodes"
)

// faults are the nodes that cannot pull from a mirror.
type faults map[mirrorsetv1alpha1.MirrorFaultState]*sufferers

// sufferers are nodes by name, and why the first of them cannot.
type sufferers struct {
	nodes []string
	why   string
}

// faultsOf returns the faults that nodes report, by mirror: those of nodes that somebody speaks for, or of the others, which are not known to be there
// still.
func faultsOf(members []fleet.Member, spokenFor bool) map[mirrors.Scope]faults {
	byMirror := make(map[mirrors.Scope]faults)
	for i := range members {
		if members[i].IsSpokenFor() != spokenFor {
			continue
		}
		for _, f := range members[i].Status.MirrorFaults {
			at := mirrors.Scope(f.Mirror)
			if byMirror[at] == nil {
				byMirror[at] = make(faults)
			}
			if byMirror[at][f.State] == nil {
				byMirror[at][f.State] = &sufferers{why: f.Message}
			}
			s := byMirror[at][f.State]
			s.nodes = append(s.nodes, members[i].Name)
		}
	}
	return byMirror
}

// faulty returns the mirrors of each set that nodes report a fault of.
func faulty(reported map[mirrors.Scope]faults, rules []mirrors.Rule) map[mirrors.Object][]mirrors.Scope {
	bySet := make(map[mirrors.Object][]mirrors.Scope)
	if len(reported) == 0 {
		return bySet
	}
	for i := range rules {
		for _, m := range rules[i].Mirrors {
			if reported[m.Location] == nil {
				continue
			}
			for _, set := range mirrors.Objects(m.From) {
				bySet[set] = append(bySet[set], m.Location)
			}
		}
	}
	for set, locations := range bySet {
		slices.Sort(locations)
		bySet[set] = slices.Compact(locations)
	}
	return bySet
}

// reachable returns whether nodes can pull from the mirrors of a set (V8). Faulty are mirrors that nodes report, and unspoken are mirrors
// that nodes without a current report had reported.
func (f *Fleet) reachable(before configv1.MirrorSetStatus, faulty, unspoken []mirrors.Scope) metav1.Condition {
	condition := metav1.Condition{Type: configv1.ConditionMirrorsReachable, Status: metav1.ConditionUnknown, Reason: configv1.ReasonNotSeen}
	was := meta.FindStatusCondition(before.Conditions, condition.Type)
	switch {
	case f.Unseen && was != nil:
		return *was
	case f.Unseen:
		condition.Message = notRead
	case len(faulty) > 0:
		condition.Status, condition.Reason = metav1.ConditionFalse, configv1.ReasonMirrorFaults
		named, first := nameFaults(f.faults, faulty)
		condition.Message = named + "; to see what that node tried, run: kubectl mirrors pulls " + first
	case len(unspoken) > 0:
		named, first := nameFaults(f.unspoken, unspoken)
		condition.Reason = configv1.ReasonFaultsNotSeen
		condition.Message = "the agents of nodes that reported faults no longer report: " + named + "; to see why, run: kubectl get mirrornode " + first + " -o wide"
	case !f.sees:
		condition.Message = notSeen
		if f.saw {
			condition.Message = fellSilent
		}
		if isFaulty(was) {
			condition.Reason, condition.Message = configv1.ReasonFaultsNotSeen, "nodes reported faults of mirrors of this set, but now "+condition.Message
		}
	default:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, configv1.ReasonNoFaultReported, noFault
	}
	return condition
}

// nameFaults names mirrors with the nodes that cannot pull from them, and returns the first of these as well.
func nameFaults(reported map[mirrors.Scope]faults, faulty []mirrors.Scope) (message, first string) {
	var named []string
	for _, at := range faulty[:min(len(faulty), maxMirrorsNamed)] {
		for _, state := range []mirrorsetv1alpha1.MirrorFaultState{mirrorsetv1alpha1.MirrorSilent, mirrorsetv1alpha1.MirrorRefuses, mirrorsetv1alpha1.MirrorFails} {
			s := reported[at][state]
			if s == nil {
				continue
			}
			first = cmp.Or(first, s.nodes[0])
			text := fmt.Sprintf("%s %s %s", at, does[state], enumerate(s.nodes))
			if s.why != "" {
				text += " (" + cut(s.why) + ")"
			}
			named = append(named, text)
		}
	}
	told := named
	for len(told) > 1 && len(strings.Join(told, "; ")) > maxMessage {
		told = told[:len(told)-1]
	}
	message = strings.Join(told, "; ")
	if more := len(faulty) - maxMirrorsNamed; more > 0 || len(told) < len(named) {
		message += "; the MirrorNodes name more mirrors"
	}
	return message, first
}

// does says in a sentence what a mirror does to nodes.
var does = map[mirrorsetv1alpha1.MirrorFaultState]string{
	mirrorsetv1alpha1.MirrorSilent:  "does not answer",
	mirrorsetv1alpha1.MirrorRefuses: "refuses",
	mirrorsetv1alpha1.MirrorFails:   "fails for",
}

// isFaulty reports whether nodes reported faults, and no node that sees pulls has reported since that they are over.
func isFaulty(c *metav1.Condition) bool {
	return c != nil && (c.Status == metav1.ConditionFalse || c.Reason == configv1.ReasonFaultsNotSeen)
}

// NewsOfMirrors returns the condition if an event about it should be sent, once: nodes have begun to report faults of a set's mirrors, or
// no node does any more. It returns nil otherwise. If no node can report any more, that is neither.
func NewsOfMirrors(before, after configv1.MirrorSetStatus) *metav1.Condition {
	was, is := meta.FindStatusCondition(before.Conditions, configv1.ConditionMirrorsReachable), meta.FindStatusCondition(after.Conditions, configv1.ConditionMirrorsReachable)
	if is != nil && (is.Status == metav1.ConditionFalse && !isFaulty(was) || is.Status == metav1.ConditionTrue && isFaulty(was)) {
		return is
	}
	return nil
}
