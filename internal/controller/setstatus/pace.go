// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

const (
	// step is how often a set is told how many nodes have followed, while they are on their way, and how long a loss lasts
	// before the set says so.
	step = 2 * time.Second
	// longest bounds what a recovery, or another list of nodes that have lost a set, waits.
	longest = time.Minute
	// calm is after how long without anything to write the waiting begins anew with a step.
	calm = 10 * time.Minute
)

// Pace says when what changed of a set's status is worth a write (S5). The zero value is that of a set that was not yet written.
type Pace struct {
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

// changeOf tells two states of a set apart.
func changeOf(before, after configv1.MirrorSetStatus) change {
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

// underWay are the reasons of a set that is not yet in force everywhere.
var underWay = map[string]bool{configv1.ReasonProgressing: true, configv1.ReasonNodesFailing: true}

// rest is a status without what nodes have to do with.
func rest(status configv1.MirrorSetStatus) configv1.MirrorSetStatus {
	accepted := meta.FindStatusCondition(status.Conditions, configv1.ConditionAccepted)
	status.Conditions = nil
	if accepted != nil {
		status.Conditions = []metav1.Condition{*accepted}
	}
	return status
}

// Hold takes note of what a set says and is to say, and returns how long to wait before that is written: 0 for now. Due is false
// where there is nothing to write.
func (p *Pace) Hold(before, after configv1.MirrorSetStatus, now time.Time) (left time.Duration, due bool) {
	is := changeOf(before, after)
	if is != p.pending {
		p.pending, p.since = is, now
	}
	if is == none {
		return 0, false
	}
	if now.Sub(p.seen) > calm {
		p.wait = step
	}
	p.seen = now
	switch is {
	case progressed:
		left = p.at.Add(step).Sub(now)
	case lost:
		left = p.since.Add(step).Sub(now)
	case recovered:
		left = p.since.Add(p.wait).Sub(now)
	case listed:
		left = p.at.Add(p.wait).Sub(now)
	}
	return max(left, 0), true
}

// Wrote takes note that the pending change was written. Whoever flaps, or lets nodes fail one by one, waits longer each time.
func (p *Pace) Wrote(now time.Time) {
	if p.pending == recovered || p.pending == listed {
		p.wait = min(2*p.wait, longest)
	}
	p.at, p.pending = now, none
}
