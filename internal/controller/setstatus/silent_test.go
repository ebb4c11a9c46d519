// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

// That nobody tells of a fault any more is not that it is over.
func TestAFaultIsOverOnceANodeThatIsSpokenForSaysSo(t *testing.T) { // V8
	ill, well, blind := reported(20, seeing(fault("m.com", down, "no"))), reported(20, seeing()), reported(20)
	gone := func(s mirrorsetv1alpha1.MirrorNodeStatus) mirrorsetv1alpha1.MirrorNodeStatus {
		s.Conditions = slices.Clone(s.Conditions)
		withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentNotReady, "its agent has no Pod")(&s)
		return s
	}
	s := snapshotOf(t, "a: s.com -> m.com")
	says := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(well, well))
	for i, step := range []struct {
		nodes        []mirrorsetv1alpha1.MirrorNodeStatus
		reason, news string
	}{
		{[]mirrorsetv1alpha1.MirrorNodeStatus{gone(well), gone(well)}, configv1.ReasonNotSeen, ""},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{well, well}, configv1.ReasonNoFaultReported, ""},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{ill, well}, configv1.ReasonMirrorFaults, configv1.ReasonMirrorFaults},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{gone(ill), well}, configv1.ReasonFaultsNotSeen, ""},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{gone(ill), gone(well)}, configv1.ReasonFaultsNotSeen, ""},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{ill, well}, configv1.ReasonMirrorFaults, ""},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{gone(ill), well}, configv1.ReasonFaultsNotSeen, ""},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{well, well}, configv1.ReasonNoFaultReported, configv1.ReasonNoFaultReported},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{ill}, configv1.ReasonMirrorFaults, configv1.ReasonMirrorFaults},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{gone(well)}, configv1.ReasonFaultsNotSeen, ""},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{blind}, configv1.ReasonFaultsNotSeen, ""},
		{nil, configv1.ReasonFaultsNotSeen, ""},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{well}, configv1.ReasonNoFaultReported, configv1.ReasonNoFaultReported},
		{[]mirrorsetv1alpha1.MirrorNodeStatus{blind}, configv1.ReasonNotSeen, ""},
	} {
		after := statusOf(s, says, fleetOf(step.nodes...))
		if got := meta.FindStatusCondition(after.Conditions, configv1.ConditionMirrorsReachable); got.Reason != step.reason {
			t.Errorf("step %d: got %+v", i, got)
		}
		news := ""
		if c := NewsOfMirrors(says, after); c != nil {
			news = c.Reason
		}
		if news != step.news {
			t.Errorf("step %d: %q is told, want %q", i, news, step.news)
		}
		says = after
	}
}

// TestAgentsThatAreRolledWriteNoSet has each of them be away for more than the minute that S8 gives it, and see nothing for its first second.
func TestAgentsThatAreRolledWriteNoSet(t *testing.T) {
	const away = 90 * time.Second
	well, starting, gone := reported(20, seeing()), reported(20, seeing()), reported(20, seeing(),
		withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentNotReady, "its agent has no Pod"))
	*starting.SeesPulls = false
	nodes := []mirrorsetv1alpha1.MirrorNodeStatus{well, well, well}
	roll := func(at time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus { // one after the other
		now := slices.Clone(nodes)
		which, since := int(at/away), at%away
		switch {
		case since < time.Second:
		case since < 80*time.Second:
			now[which] = gone
		case since < 81*time.Second:
			now[which] = starting
		}
		return now
	}
	w := newWriter(t, nodes...)
	w.pass(time.Duration(len(nodes))*away, tick, roll)
	w.wantMirrors(metav1.ConditionTrue, 0)

	w = newWriter(t, well) // a node alone, within the minute
	w.pass(time.Second, tick, always(starting))
	w.pass(time.Minute, tick, always(well))
	w.wantMirrors(metav1.ConditionTrue, 0)
	w.pass(time.Minute, tick, always(gone))
	w.wantMirrors(metav1.ConditionUnknown, 1)
	w.pass(time.Minute, tick, always(well))
	w.wantMirrors(metav1.ConditionTrue, 1)
}
