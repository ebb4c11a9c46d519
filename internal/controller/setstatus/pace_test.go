// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"testing"
	"time"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

const tick = 100 * time.Millisecond

// writer writes a set whenever that is due.
type writer struct {
	t      *testing.T
	s      *snapshot
	pace   Pace
	says   configv1.MirrorSetStatus
	now    time.Time
	writes int
}

func newWriter(t *testing.T, nodes ...mirrorsetv1alpha1.MirrorNodeStatus) *writer {
	w := &writer{t: t, s: snapshotOf(t, "a: s.com -> m.com"), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.look(nodes...)
	if w.writes != 1 {
		t.Fatalf("%d writes of a new set", w.writes)
	}
	w.writes = 0
	return w
}

// look has the set written if that is due, and returns how long to wait where it is not yet.
func (w *writer) look(nodes ...mirrorsetv1alpha1.MirrorNodeStatus) time.Duration {
	after := statusOf(w.s, w.says, fleetOf(nodes...))
	left, due := w.pace.Hold(w.says, after, w.now)
	if due && left == 0 {
		w.pace.Wrote(w.now)
		w.says = after
		w.writes++
	}
	return left
}

// pass lets time pass, with a look now and then at what the nodes are after so long.
func (w *writer) pass(long, each time.Duration, nodes func(time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus) {
	for at := time.Duration(0); at < long; at += each {
		w.look(nodes(at)...)
		w.now = w.now.Add(each)
	}
}

func (w *writer) want(reason string, writes int) {
	w.t.Helper()
	if got := w.says.Conditions[1].Reason; got != reason || w.writes != writes {
		w.t.Errorf("after %d writes the set says %s; want %d writes and %s", w.writes, got, writes, reason)
	}
	w.writes = 0
}

func always(nodes ...mirrorsetv1alpha1.MirrorNodeStatus) func(time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus {
	return func(time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus { return nodes }
}

func TestALossAndARecoveryAreWrittenOnceTheyLast(t *testing.T) {
	w := newWriter(t, reported(20))
	w.pass(1900*time.Millisecond, tick, always(reported(20, without("s.com"))))
	w.want(configv1.ReasonAppliedOnAllNodes, 0)
	w.pass(time.Minute, tick, always(reported(20)))
	w.want(configv1.ReasonAppliedOnAllNodes, 0)
	w.pass(2100*time.Millisecond, tick, always(reported(20, without("s.com"))))
	w.want(configv1.ReasonDegraded, 1)
	w.pass(time.Hour, time.Second, always(reported(20, without("s.com"))))
	w.want(configv1.ReasonDegraded, 0)
	w.pass(1900*time.Millisecond, tick, always(reported(20)))
	w.want(configv1.ReasonDegraded, 0)
	w.pass(300*time.Millisecond, tick, always(reported(20)))
	w.want(configv1.ReasonAppliedOnAllNodes, 1)
}

func TestWhatIsLeftOfAWaitIsSaid(t *testing.T) {
	w := newWriter(t, reported(20))
	if left := w.look(reported(20, without("s.com"))); left != step {
		t.Errorf("got %s", left)
	}
	w.now = w.now.Add(500 * time.Millisecond)
	if left := w.look(reported(20, without("s.com"))); left != step-500*time.Millisecond {
		t.Errorf("later: got %s", left)
	}
}

func TestANodeThatFlapsIsWrittenLessAndLess(t *testing.T) {
	for _, c := range []struct {
		each time.Duration
		most int
	}{{time.Second, 1}, {5 * time.Second, 8}, {30 * time.Second, 12}, {2 * time.Minute, 31}} {
		w := newWriter(t, reported(20))
		w.pass(time.Hour, min(c.each/5, time.Second), func(at time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus {
			if at/c.each%2 == 0 {
				return []mirrorsetv1alpha1.MirrorNodeStatus{reported(20, without("s.com"))}
			}
			return []mirrorsetv1alpha1.MirrorNodeStatus{reported(20)}
		})
		if w.writes > c.most {
			t.Errorf("every %s: %d writes in an hour", c.each, w.writes)
		}
	}
}

func TestAFaultThatComesOverAThousandNodesIsWrittenAFewTimes(t *testing.T) {
	nodes := make([]mirrorsetv1alpha1.MirrorNodeStatus, 1000)
	for i := range nodes {
		nodes[i] = reported(20)
	}
	w := newWriter(t, nodes...)
	turn := func(to mirrorsetv1alpha1.MirrorNodeStatus) func(time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus {
		return func(at time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus {
			for i := range min(1000, 2*int(at/tick)) { // all of them in 50 seconds
				nodes[i] = to
			}
			return nodes
		}
	}
	w.pass(3*time.Minute, 5*tick, turn(reported(20, without("s.com"))))
	if w.writes > 8 {
		t.Errorf("%d writes until all had lost it", w.writes)
	}
	w.want(configv1.ReasonDegraded, w.writes)
	w.pass(3*time.Minute, 5*tick, turn(reported(20)))
	if w.writes > 4 {
		t.Errorf("%d writes until all were back", w.writes)
	}
	w.want(configv1.ReasonAppliedOnAllNodes, w.writes)
}

func TestOnlyTheCountOfNodesWaitsWhileTheyAreOnTheirWay(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	before := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20), reported(19), reported(19)))
	for name, c := range map[string]struct {
		after configv1.MirrorSetStatus
		want  change
	}{
		"nothing":       {before, none},
		"another count": {statusOf(s, before, fleetOf(reported(20), reported(20), reported(19))), progressed},
		"all nodes":     {statusOf(s, before, fleetOf(reported(20), reported(20), reported(20))), atOnce},
		"other findings": {func() configv1.MirrorSetStatus {
			after := before
			after.Findings = []configv1.Finding{{Reason: "X", Message: "x"}}
			return after
		}(), atOnce},
		"the first one": {configv1.MirrorSetStatus{}, atOnce},
	} {
		if got := changeOf(before, c.after); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
	w := newWriter(t, reported(20), reported(19))
	w.now = w.now.Add(time.Second)
	if left := w.look(reported(20), reported(19), reported(19)); left != time.Second || w.writes != 0 {
		t.Errorf("%s left, %d writes", left, w.writes)
	}
	w.look(reported(20), reported(20))
	w.want(configv1.ReasonAppliedOnAllNodes, 1)
}
