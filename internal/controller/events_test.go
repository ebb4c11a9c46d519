// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

// told returns the events that were recorded since the last call.
func told(recorder *events.FakeRecorder) (all []string) {
	for {
		select {
		case text := <-recorder.Events:
			all = append(all, text)
		default:
			return all
		}
	}
}

// TestAChangeThatIsHeldUpIsToldOnce goes through what a set says of a generation, one state after the other.
func TestAChangeThatIsHeldUpIsToldOnce(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	e := &Events{Recorder: recorder}
	set := &snapshotOf(t, "a: s.com -> m.com").Sets[0]
	set.SetGeneration(2)
	var before configv1.MirrorSetStatus
	for _, step := range []struct {
		is              metav1.ConditionStatus
		reason, message string
		want            []string
	}{
		{metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, "in force on all nodes", []string{"Normal AppliedOnAllNodes generation 2 is in force on all nodes"}},
		{metav1.ConditionFalse, configv1.ReasonRolledBack, "anna undid it", []string{"Normal RolledBack anna undid it"}},
		{metav1.ConditionFalse, configv1.ReasonPaused, "anna paused", []string{"Normal Paused anna paused"}},
		{metav1.ConditionFalse, configv1.ReasonPaused, "otto paused", nil},
		{metav1.ConditionFalse, configv1.ReasonNoCanaries, "no node is a canary", []string{"Warning NoCanaries no node is a canary"}},
		{metav1.ConditionFalse, configv1.ReasonCanaryProgressing, "on 1 of 2 canaries", nil},
		{metav1.ConditionFalse, configv1.ReasonCanaryFailed, "node-1: no image", []string{"Warning CanaryFailed node-1: no image"}},
		{metav1.ConditionFalse, configv1.ReasonCanaryFailed, "node-2: no image", nil},
		{metav1.ConditionFalse, configv1.ReasonCanaryProgressing, "on 2 of 2 canaries", nil},
		{metav1.ConditionFalse, configv1.ReasonProgressing, "in force on 3 of 9 nodes", nil},
		{metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, "in force on all nodes", []string{"Normal AppliedOnAllNodes generation 2 is in force on all nodes"}},
	} {
		after := configv1.MirrorSetStatus{Conditions: []metav1.Condition{{
			Type: configv1.ConditionApplied, Status: step.is, Reason: step.reason, Message: step.message, ObservedGeneration: 2,
		}}}
		e.ofSet(set, before, after)
		if got := told(recorder); !slices.Equal(got, step.want) {
			t.Errorf("%s, %s: the events are %q, want %q", step.reason, step.message, got, step.want)
		}
		before = after
	}
}

func TestAMirrorThatNodesCannotPullFromIsToldOnce(t *testing.T) { // V8
	recorder := events.NewFakeRecorder(10)
	e := &Events{Recorder: recorder}
	set := &snapshotOf(t, "a: s.com -> m.com").Sets[0]
	before := configv1.MirrorSetStatus{}
	for i, step := range []struct {
		is              metav1.ConditionStatus
		reason, message string
		want            []string
	}{
		{metav1.ConditionTrue, configv1.ReasonNoFaultReported, "none", nil},
		{metav1.ConditionFalse, configv1.ReasonMirrorFaults, "m.com for node-1", []string{"Warning MirrorFaults m.com for node-1"}},
		{metav1.ConditionFalse, configv1.ReasonMirrorFaults, "m.com for node-1, node-2", nil},
		{metav1.ConditionTrue, configv1.ReasonNoFaultReported, "none", []string{"Normal NoFaultReported none"}},
	} {
		after := configv1.MirrorSetStatus{Conditions: []metav1.Condition{{Type: configv1.ConditionMirrorsReachable, Status: step.is, Reason: step.reason, Message: step.message}}}
		e.ofSet(set, before, after)
		if got := told(recorder); !slices.Equal(got, step.want) {
			t.Errorf("step %d: the events are %q, want %q", i, got, step.want)
		}
		before = after
	}
}

// TestANodeWhoseImagesCannotBePulledAgainIsToldOnce also wants nothing told of a node where all is well from the first trial on.
func TestANodeWhoseImagesCannotBePulledAgainIsToldOnce(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	e := &Events{Recorder: recorder}
	pullable := metav1.Condition{Type: mirrorsetv1alpha1.ConditionImagesPullable, Status: metav1.ConditionTrue, Reason: mirrorsetv1alpha1.ReasonPullable, Message: "all 3"}
	unpullable := metav1.Condition{Type: mirrorsetv1alpha1.ConditionImagesPullable, Status: metav1.ConditionFalse, Reason: mirrorsetv1alpha1.ReasonUnpullable, Message: "1 of 3"}
	before := &mirrorsetv1alpha1.MirrorNode{}
	for i, step := range []struct {
		condition metav1.Condition
		want      []string
	}{
		{pullable, nil},
		{unpullable, []string{"Warning Unpullable 1 of 3"}},
		{unpullable, nil},
		{pullable, []string{"Normal Pullable all 3"}},
	} {
		after := &mirrorsetv1alpha1.MirrorNode{Status: mirrorsetv1alpha1.MirrorNodeStatus{Conditions: []metav1.Condition{step.condition}}}
		e.ofNode(before, after)
		if got := told(recorder); !slices.Equal(got, step.want) {
			t.Errorf("step %d: the events are %q, want %q", i, got, step.want)
		}
		before = after
	}
}
