// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
)

var seeing, fault = fleettest.Seeing, fleettest.Fault

const down = mirrorsetv1alpha1.MirrorSilent

func TestASetSaysWhichOfItsMirrorsNodesCannotPullFrom(t *testing.T) { // V8
	sees, blind := reported(20, seeing()), reported(20)
	of := func(faults ...mirrorsetv1alpha1.MirrorFault) mirrorsetv1alpha1.MirrorNodeStatus {
		return reported(20, seeing(faults...))
	}
	gone := withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentNotReady, "its agent has no Pod")
	for name, c := range map[string]struct {
		sets    string
		nodes   []mirrorsetv1alpha1.MirrorNodeStatus
		is      metav1.ConditionStatus
		message string
	}{
		"no node":                         {"a: s.com -> m.com/q", nil, metav1.ConditionUnknown, notSeen},
		"none that sees":                  {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{blind, {}}, metav1.ConditionUnknown, notSeen},
		"one that sees":                   {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{blind, sees}, metav1.ConditionTrue, noFault},
		"one that saw":                    {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), gone)}, metav1.ConditionUnknown, fellSilent},
		"one that saw, one that sees":     {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), gone), sees}, metav1.ConditionTrue, noFault},
		"a mirror of another set":         {"a: s.com -> m.com/q\nb: t.com -> n.com", []mirrorsetv1alpha1.MirrorNodeStatus{of(fault("n.com", down, "no"))}, metav1.ConditionTrue, noFault},
		"a mirror that no rule names":     {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{of(fault("m.com", down, "no"))}, metav1.ConditionTrue, noFault},
		"a fault that nobody speaks of":   {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(fault("m.com/q", down, "no")), gone), sees}, metav1.ConditionUnknown, "the agents of nodes that reported faults no longer report: m.com/q does not answer node-0 (no); to see why, run: kubectl get mirrornode node-0 -o wide"},
		"one of two that is spoken of":    {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(fault("m.com/q", down, "no")), gone), of(fault("m.com/q", down, "it hangs"))}, metav1.ConditionFalse, "m.com/q does not answer node-1 (it hangs); to see what that node tried, run: kubectl mirrors pulls node-1"},
		"one of another set, unspoken of": {"a: s.com -> m.com/q\nb: t.com -> n.com", []mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(fault("n.com", down, "no")), gone), sees}, metav1.ConditionTrue, noFault},
		"its mirror":                      {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{sees, of(fault("m.com/q", down, "it hangs")), of(fault("m.com/q", down, "it sleeps"))}, metav1.ConditionFalse, "m.com/q does not answer node-1, node-2 (it hangs); to see what that node tried, run: kubectl mirrors pulls node-1"},
		"one that refuses":                {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{of(fault("m.com/q", mirrorsetv1alpha1.MirrorRefuses, ""))}, metav1.ConditionFalse, "m.com/q refuses node-0; to see what"},
		"in two ways":                     {"a: s.com -> m.com/q", []mirrorsetv1alpha1.MirrorNodeStatus{of(fault("m.com/q", mirrorsetv1alpha1.MirrorFails, "503")), of(fault("m.com/q", down, "it hangs"))}, metav1.ConditionFalse, "m.com/q does not answer node-1 (it hangs); m.com/q fails for node-0 (503); to see what that node tried, run: kubectl mirrors pulls node-1"},
		"two of them":                     {"a: s.com -> n.com, m.com/q\na: t.com -> n.com", []mirrorsetv1alpha1.MirrorNodeStatus{of(fault("n.com", down, "a"), fault("m.com/q", down, "b"))}, metav1.ConditionFalse, "m.com/q does not answer node-0 (b); n.com does not answer node-0 (a); to see what"},
		"what a narrower source inherits": {"T a: s.com -> m.com/s\nD b: s.com/x -> d.net/x", []mirrorsetv1alpha1.MirrorNodeStatus{of(fault("m.com/s/x", down, "a"))}, metav1.ConditionFalse, "m.com/s/x does not answer node-0 (a); to see what"},
	} {
		s := snapshotOf(t, c.sets)
		first := 0
		for i := range s.sets {
			if s.sets[i].GetName() == "a" {
				first = i
			}
		}
		status := s.of(first, configv1.MirrorSetStatus{}, NewFleet(fleetOf(c.nodes...)))
		reason := map[metav1.ConditionStatus]string{metav1.ConditionUnknown: configv1.ReasonNotSeen, metav1.ConditionTrue: configv1.ReasonNoFaultReported, metav1.ConditionFalse: configv1.ReasonMirrorFaults}[c.is]
		if strings.HasPrefix(c.message, "the agents of nodes that reported faults no longer report") {
			reason = configv1.ReasonFaultsNotSeen
		}
		wantCondition(t, name, status, configv1.ConditionMirrorsReachable, c.is, reason)
		if got := meta.FindStatusCondition(status.Conditions, configv1.ConditionMirrorsReachable).Message; !strings.HasPrefix(got, c.message) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestFaultsOfMirrorsKeepNoSetFromBeingReady(t *testing.T) { // V8
	s := snapshotOf(t, "a: s.com -> m.com")
	before := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20, seeing())))
	after := statusOf(s, before, fleetOf(reported(20, seeing(fault("m.com", down, "no")))))
	for _, kind := range []string{configv1.ConditionAccepted, configv1.ConditionApplied, configv1.ConditionReady} {
		if was, is := meta.FindStatusCondition(before.Conditions, kind), meta.FindStatusCondition(after.Conditions, kind); !equality.Semantic.DeepEqual(was, is) {
			t.Errorf("%s is %+v, and was %+v", kind, is, was)
		}
	}
	if stalled := meta.FindStatusCondition(after.Conditions, configv1.ConditionStalled); stalled != nil {
		t.Errorf("got %+v", stalled)
	}
	unseen := NewFleet(fleetOf(mirrorsetv1alpha1.MirrorNodeStatus{}))
	unseen.Unseen = true
	if still := s.of(0, after, unseen); !equality.Semantic.DeepEqual(still, after) {
		t.Errorf("while nothing tells what nodes report, the set changes: %+v", still)
	}
	if first := s.of(0, configv1.MirrorSetStatus{}, unseen); meta.FindStatusCondition(first.Conditions, configv1.ConditionMirrorsReachable).Message != notRead {
		t.Errorf("a new set, while nothing tells: %+v", first)
	}
}

func TestOnlyThatFaultsBeginAndEndIsTold(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com, n.com")
	at := func(generation int64, nodes ...mirrorsetv1alpha1.MirrorNodeStatus) configv1.MirrorSetStatus {
		s.sets[0].SetGeneration(generation)
		return statusOf(s, configv1.MirrorSetStatus{}, fleetOf(nodes...))
	}
	blind, well := at(1, reported(20)), at(1, reported(20, seeing()))
	ill, worse, changed := at(1, reported(20, seeing(fault("m.com", down, "a")))), at(1, reported(20, seeing(fault("m.com", down, "a"), fault("n.com", down, "a")))), at(2, reported(20, seeing(fault("m.com", down, "a"))))
	for name, c := range map[string]struct {
		before, after configv1.MirrorSetStatus
		want          string
	}{
		"a new set":             {configv1.MirrorSetStatus{}, well, ""},
		"a new set, with fault": {configv1.MirrorSetStatus{}, ill, configv1.ReasonMirrorFaults},
		"a node sees":           {blind, well, ""},
		"none sees any more":    {ill, blind, ""},
		"a fault":               {well, ill, configv1.ReasonMirrorFaults},
		"another one":           {ill, worse, ""},
		"another generation":    {ill, changed, ""},
		"it is over":            {ill, well, configv1.ReasonNoFaultReported},
		"of a CRD without one":  {ill, configv1.MirrorSetStatus{}, ""},
	} {
		got := ""
		if n := NewsOfMirrors(c.before, c.after); n != nil {
			got = n.Reason
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestTenMirrorsAreNamed(t *testing.T) {
	var text []string
	var faults []mirrorsetv1alpha1.MirrorFault
	for i := range 11 {
		text = append(text, fmt.Sprintf("m%02d.com", i))
		faults = append(faults, fault(text[i], down, ""))
	}
	for n, more := range map[int]bool{10: false, 11: true} {
		s := snapshotOf(t, "a: s.com -> "+strings.Join(text[:n], ", "))
		c := meta.FindStatusCondition(statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20, seeing(faults[:n]...)))).Conditions, configv1.ConditionMirrorsReachable)
		if !strings.Contains(c.Message, "m09.com does not answer node-0; ") || strings.Contains(c.Message, "m10.com") || strings.Contains(c.Message, "; the MirrorNodes name more mirrors") != more {
			t.Errorf("%d mirrors: %s", n, c.Message)
		}
	}
}

func TestManyFaultsAreCounted(t *testing.T) {
	var text strings.Builder
	text.WriteString("a: s.com -> ")
	var faults []mirrorsetv1alpha1.MirrorFault
	for i := range 15 {
		mirror := fmt.Sprintf("m%02d.com/%s", i, strings.Repeat("x", 240))
		text.WriteString(mirror + ", ")
		faults = append(faults, fault(mirror, down, strings.Repeat("y", 500)))
	}
	s := snapshotOf(t, strings.TrimSuffix(text.String(), ", "))
	members := fleetOf(make([]mirrorsetv1alpha1.MirrorNodeStatus, 51)...)
	for i := range members {
		members[i].Name, members[i].Status = fmt.Sprintf("node-%s-%02d", strings.Repeat("z", 240), i), reported(20, seeing(faults...))
	}
	c := meta.FindStatusCondition(statusOf(s, configv1.MirrorSetStatus{}, members).Conditions, configv1.ConditionMirrorsReachable)
	if len(c.Message) > maxMessage+1024 || !strings.Contains(c.Message, "-09 and 41 more (yyy") || !strings.Contains(c.Message, "; the MirrorNodes name more mirrors") || strings.Contains(c.Message, "m10.com") {
		t.Errorf("%d bytes: %s", len(c.Message), c.Message)
	}
}

func (w *writer) wantMirrors(is metav1.ConditionStatus, writes int) {
	w.t.Helper()
	if got := meta.FindStatusCondition(w.says.Conditions, configv1.ConditionMirrorsReachable); got.Status != is || w.writes != writes {
		w.t.Errorf("after %d writes the mirrors are %+v; want %d writes and %s", w.writes, got, writes, is)
	}
	w.writes = 0
}

func TestFaultsOfMirrorsAreWrittenAtThePaceOfALoss(t *testing.T) { // V8, S5
	well, ill := reported(20, seeing()), reported(20, seeing(fault("m.com", down, "no")))
	w := newWriter(t, well)
	w.pass(1900*time.Millisecond, tick, always(ill))
	w.wantMirrors(metav1.ConditionTrue, 0)
	w.pass(time.Minute, tick, always(well))
	w.wantMirrors(metav1.ConditionTrue, 0)
	w.pass(2100*time.Millisecond, tick, always(ill))
	w.wantMirrors(metav1.ConditionFalse, 1)
	w.pass(time.Hour, time.Second, always(ill))
	w.wantMirrors(metav1.ConditionFalse, 0)
	w.pass(1900*time.Millisecond, tick, always(well))
	w.wantMirrors(metav1.ConditionFalse, 0)
	w.pass(300*time.Millisecond, tick, always(well))
	w.wantMirrors(metav1.ConditionTrue, 1)
	w.pass(time.Hour, time.Second, always(well))
	w.wantMirrors(metav1.ConditionTrue, 0)
}

func TestAMirrorThatFlapsIsWrittenLessAndLess(t *testing.T) {
	w := newWriter(t, reported(20, seeing()))
	w.pass(time.Hour, time.Second, func(at time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus {
		if at/(5*time.Second)%2 == 0 {
			return []mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(fault("m.com", down, "no")))}
		}
		return []mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing())}
	})
	if w.writes > 8 {
		t.Errorf("%d writes in an hour", w.writes)
	}
}

func TestAMirrorThatIsDownForAllNodesIsWrittenAFewTimes(t *testing.T) {
	nodes := make([]mirrorsetv1alpha1.MirrorNodeStatus, 51)
	for i := range nodes {
		nodes[i] = reported(20, seeing())
	}
	w := newWriter(t, nodes...)
	turn := func(to mirrorsetv1alpha1.MirrorNodeStatus) func(time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus {
		return func(at time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus {
			for i := range min(len(nodes), 1+int(at/time.Second)) { // one after the other
				nodes[i] = to
			}
			return nodes
		}
	}
	w.pass(3*time.Minute, 5*tick, turn(reported(20, seeing(fault("m.com", down, "no")))))
	if w.writes > 7 {
		t.Errorf("%d writes until all reported it", w.writes)
	}
	w.wantMirrors(metav1.ConditionFalse, w.writes)
	if c := meta.FindStatusCondition(w.says.Conditions, configv1.ConditionMirrorsReachable); !strings.Contains(c.Message, "node-9 and 41 more (no)") {
		t.Errorf("got %q", c.Message)
	}
	w.pass(3*time.Minute, 5*tick, turn(reported(20, seeing())))
	if w.writes > 4 {
		t.Errorf("%d writes until none reported it", w.writes)
	}
	w.wantMirrors(metav1.ConditionTrue, w.writes)
}
