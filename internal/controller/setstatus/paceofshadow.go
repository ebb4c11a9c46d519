// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// shadowFlow is the pace of what a set in shadow mode would refuse (V6).
type shadowFlow struct {
	at      time.Time // of the last write
	pending change
	since   time.Time // since when that has been pending
}

// changeOfShadow compares what a set would refuse, and how many nodes cannot report that, with the earlier state.
func changeOfShadow(before, after *configv1.ShadowStatus) change {
	switch {
	case equality.Semantic.DeepEqual(before, after):
		return none
	case before == nil || after == nil || isZero(before.Nodes) && !isZero(after.Nodes):
		return atOnce
	case equality.Semantic.DeepEqual(before.Nodes, after.Nodes) && slices.Equal(before.Images, after.Images):
		return progressed
	}
	return listed
}

func isZero(count *int32) bool { return count == nil || *count == 0 }

// hold lets the first image be written immediately, and others once a minute at most. Other nodes that cannot report must stay so for a
// minute, because none of the nodes can report for a moment whenever another set is published.
func (f *shadowFlow) hold(is change, now time.Time) (left time.Duration, due bool) {
	if is != f.pending {
		f.pending, f.since = is, now
	}
	switch is {
	case listed:
		left = f.at.Add(longest).Sub(now)
	case progressed:
		left = max(f.at.Add(longest).Sub(now), f.since.Add(longest).Sub(now))
	}
	return max(left, 0), is != none
}

// wrote takes note of a write.
func (f *shadowFlow) wrote(now time.Time) {
	if f.pending != none {
		f.at, f.pending = now, none
	}
}
