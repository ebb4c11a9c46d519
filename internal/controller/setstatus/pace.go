// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

const (
	// step is how often the status of a set shows how many nodes have followed, while they follow, and how long a loss must last before the
	// status shows it.
	step = 2 * time.Second
	// longest bounds what a recovery, or another list of nodes that have lost a set, waits.
	longest = time.Minute
	// calm is how long there must be nothing to write before the waiting starts again with a step.
	calm = 10 * time.Minute
)

// Pace says when what changed of a set's status is worth a write (S5, V6 and V8). The zero value is that of a set that was not yet written.
type Pace struct {
	applied, mirrors flow
	shadow           shadowFlow
}

// Hold takes note of what a set says and is to say, and returns how long to wait before that is written: 0 for now. Due is false
// where there is nothing to write.
func (p *Pace) Hold(before, after configv1.MirrorSetStatus, now time.Time) (left time.Duration, due bool) {
	left, due = p.applied.hold(changeOf(before, after), now)
	soonest := func(other time.Duration, isDue bool) {
		if isDue && (!due || other < left) {
			left = other
		}
		due = due || isDue
	}
	soonest(p.mirrors.hold(changeOfMirrors(before, after), now))
	soonest(p.shadow.hold(changeOfShadow(before.Shadow, after.Shadow), now))
	return left, due
}

// Wrote takes note that what was pending was written.
func (p *Pace) Wrote(now time.Time) {
	p.applied.wrote(now)
	p.mirrors.wrote(now)
	p.shadow.wrote(now)
}

// flow is the pace of one condition.
type flow struct {
	at      time.Time     // of the last write
	wait    time.Duration // of the next recovery or other list of nodes; 0 for a step
	pending change
	since   time.Time // since when that has been pending
	seen    time.Time // when something was pending last
}

// change is what there is to write.
type change int

const (
	none change = iota
	atOnce
	progressed // another count of nodes on their way, or of those that fail
	lost
	recovered
	listed // other nodes have lost it
)

// changeOf compares two states of a set, except for what nodes see of pulls.
func changeOf(before, after configv1.MirrorSetStatus) change {
	before, after = withoutSeen(before), withoutSeen(after)
	if equality.Semantic.DeepEqual(before, after) {
		return none
	}
	was, is := meta.FindStatusCondition(before.Conditions, configv1.ConditionApplied), meta.FindStatusCondition(after.Conditions, configv1.ConditionApplied)
	if was == nil || is == nil || was.ObservedGeneration != is.ObservedGeneration || !equality.Semantic.DeepEqual(rest(before), rest(after)) {
		return atOnce
	}
	wasLost, isLost := was.Reason == configv1.ReasonDegraded, is.Reason == configv1.ReasonDegraded
	switch {
	case wasLost && isLost:
		return listed
	case isLost:
		return lost
	case wasLost && is.Status == metav1.ConditionTrue:
		return recovered
	case underWay[was.Reason] && underWay[is.Reason]:
		return progressed
	}
	return atOnce
}

// changeOfMirrors compares two states of [configv1.ConditionMirrorsReachable]. A different generation alone is not a change.
func changeOfMirrors(before, after configv1.MirrorSetStatus) change {
	was, is := meta.FindStatusCondition(before.Conditions, configv1.ConditionMirrorsReachable), meta.FindStatusCondition(after.Conditions, configv1.ConditionMirrorsReachable)
	switch {
	case is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason && was.Message == is.Message:
		return none
	case is.Status != metav1.ConditionFalse:
		return recovered
	case was != nil && was.Status == metav1.ConditionFalse:
		return listed
	}
	return lost
}

// underWay are the reasons of a set that is not yet in force everywhere.
var underWay = map[string]bool{configv1.ReasonProgressing: true, configv1.ReasonNodesFailing: true}

// withoutSeen is a status without what nodes see of pulls.
func withoutSeen(status configv1.MirrorSetStatus) configv1.MirrorSetStatus {
	status.Shadow = nil
	status.Conditions = slices.DeleteFunc(slices.Clone(status.Conditions), func(c metav1.Condition) bool { return c.Type == configv1.ConditionMirrorsReachable })
	return status
}

// rest is a status without what nodes have to do with.
func rest(status configv1.MirrorSetStatus) configv1.MirrorSetStatus {
	accepted := meta.FindStatusCondition(status.Conditions, configv1.ConditionAccepted)
	status.Conditions = nil
	if accepted != nil {
		status.Conditions = []metav1.Condition{*accepted}
	}
	return status
}

func (f *flow) hold(is change, now time.Time) (left time.Duration, due bool) {
	if is != f.pending {
		f.pending, f.since = is, now
	}
	if is == none {
		return 0, false
	}
	if now.Sub(f.seen) > calm {
		f.wait = step
	}
	f.seen = now
	switch is {
	case progressed:
		left = f.at.Add(step).Sub(now)
	case lost:
		left = f.since.Add(step).Sub(now)
	case recovered:
		left = f.since.Add(f.wait).Sub(now)
	case listed:
		left = f.at.Add(f.wait).Sub(now)
	}
	return max(left, 0), true
}

// wrote records a write. A set that flaps, or that nodes fail one by one, waits longer each time.
func (f *flow) wrote(now time.Time) {
	if f.pending == recovered || f.pending == listed {
		f.wait = min(2*f.wait, longest)
	}
	f.at, f.pending = now, none
}
