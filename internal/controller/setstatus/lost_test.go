// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
)

var (
	refused = withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "/etc/x.conf is not ours")
	unread  = withCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotReady, "/etc/containerd/config.toml sets no config_path: set one")
	silent  = withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentSilent, "its agent has not put revision")
)

func TestASetThatWasInForceSaysWhichNodesHaveLostIt(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com\na: s.com/x -> m.com")
	before := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20), reported(20)))
	s.Revision = 30 // another set changed since
	for name, c := range map[string]struct {
		node mirrorsetv1alpha1.MirrorNodeStatus
		why  string // empty where the set is not lost
	}{
		"a file of the node blocks a source":       {reported(20, without("s.com/x")), "node-1 (because)"},
		"of a later revision":                      {reported(30, without("s.com/x")), "node-1 (because)"},
		"the runtime reads nothing":                {reported(20, unread, without()), "node-1 (/etc/containerd/config.toml sets no config_path"},
		"and the agent fell silent since":          {reported(20, unread, silent), "node-1 (/etc/containerd/config.toml sets no config_path"},
		"nothing is in force, and the agent fails": {reported(0, refused), "node-1 (/etc/x.conf is not ours)"},
		"it fails to go on to what is published":   {reported(20, refused), ""},
		"it has lost the source of another set":    {reported(20, without("t.com")), ""},
		"it has yet to follow":                     {reported(0), ""},
		"nobody has reported from it":              {mirrorsetv1alpha1.MirrorNodeStatus{}, ""},
		"its agent fell silent":                    {reported(20, silent), ""},
	} {
		after := statusOf(s, before, fleetOf(reported(20), c.node))
		if c.why == "" {
			if !equality.Semantic.DeepEqual(after, before) {
				t.Errorf("%s: the set changes: %+v", name, after)
			}
			continue
		}
		wantCondition(t, name, after, configv1.ConditionApplied, metav1.ConditionFalse, configv1.ReasonDegraded, "every node had it in force, but now 1 node has not: "+c.why)
		wantCondition(t, name, after, configv1.ConditionReady, metav1.ConditionFalse, configv1.ReasonDegraded, c.why)
		wantCondition(t, name, after, configv1.ConditionStalled, metav1.ConditionTrue, configv1.ReasonDegraded, c.why)
		if back := statusOf(s, after, fleetOf(reported(20), reported(20))); !equality.Semantic.DeepEqual(back, before) {
			t.Errorf("%s: once it is mended: %+v", name, back)
		}
		if joined := statusOf(s, after, fleetOf(reported(20), c.node, reported(0))); !equality.Semantic.DeepEqual(joined, after) {
			t.Errorf("%s: a node that joins changes the set: %+v", name, joined)
		}
		unseen := NewFleet(fleetOf(mirrorsetv1alpha1.MirrorNodeStatus{}))
		unseen.Unseen = true
		if still := s.of(0, after, unseen); !equality.Semantic.DeepEqual(still, after) {
			t.Errorf("%s: while nothing tells where nodes are, the set changes: %+v", name, still)
		}
	}
}

func TestASetInForceIsChangedByNoNodeThatJoinsOrLeavesAndByNoOtherSet(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	before := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20)))
	for name, fleet := range map[string][]mirrorsetv1alpha1.MirrorNodeStatus{
		"one joined": {reported(20), {}}, "one has followed": {reported(20), reported(20)}, "none is left": nil,
	} {
		if after := statusOf(s, before, fleetOf(fleet...)); !equality.Semantic.DeepEqual(after, before) {
			t.Errorf("%s: %+v", name, after)
		}
	}
	s.Revision = 30 // another set changed
	if after := statusOf(s, before, fleetOf(reported(20))); !equality.Semantic.DeepEqual(after, before) {
		t.Errorf("another set changes this one: %+v", after)
	}
	s.Held = "too large"
	if after := statusOf(s, before, fleetOf(reported(20))); !equality.Semantic.DeepEqual(after, before) {
		t.Errorf("another set that is held back changes this one: %+v", after)
	}
}

func TestAnotherGenerationIsRolledOutAnew(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	applied := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20)))
	lost := statusOf(s, applied, fleetOf(reported(0, refused)))
	s.Revision = 30
	s.sets[0].SetGeneration(2)
	for name, before := range map[string]configv1.MirrorSetStatus{"in force": applied, "lost": lost} {
		after := statusOf(s, before, fleetOf(reported(20)))
		wantCondition(t, name, after, configv1.ConditionApplied, metav1.ConditionFalse, configv1.ReasonProgressing)
		wantCondition(t, name, after, configv1.ConditionReady, metav1.ConditionFalse, configv1.ReasonProgressing)
		if after.Revision != 30 || meta.FindStatusCondition(after.Conditions, configv1.ConditionStalled) != nil {
			t.Errorf("%s: got %+v", name, after)
		}
		after = statusOf(s, after, fleetOf(reported(30)))
		wantCondition(t, name, after, configv1.ConditionApplied, metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes)
		wantCondition(t, name, after, configv1.ConditionReady, metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes)
	}
}

func TestASetIsReadyWhereItIsUsedWholeAndInForce(t *testing.T) {
	failed := reported(19, refused)
	for _, c := range []struct {
		name, sets string
		node       mirrorsetv1alpha1.MirrorNodeStatus
		published  Published
		is         metav1.ConditionStatus
		reason     string
		stalled    bool
	}{
		{"in force", "a: s.com -> m.com", reported(20), Published{}, metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, false},
		{"on its way", "a: s.com -> m.com", reported(19), Published{}, metav1.ConditionFalse, configv1.ReasonProgressing, false},
		{"a node fails", "a: s.com -> m.com", failed, Published{}, metav1.ConditionFalse, configv1.ReasonNodesFailing, true},
		{"in force, but for what is left out", "a: s.com -> mirror, m.com", reported(20), Published{}, metav1.ConditionFalse, configv1.ReasonPartsLeftOut, true},
		{"nothing of it is used", "a: s.com -> mirror", reported(20), Published{}, metav1.ConditionFalse, configv1.ReasonNothingAccepted, true},
		{"there is something odd", "a: s.com -> m.com [Never]", reported(20), Published{}, metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, false},
		{"held for now", "a: s.com -> m.com", reported(19), Published{Held: "the API server is away"}, metav1.ConditionFalse, configv1.ReasonNotPublished, false},
		{"held for good", "a: s.com -> m.com", reported(19), Published{Held: "too large", HeldForGood: true}, metav1.ConditionFalse, configv1.ReasonNotPublished, true},
	} {
		s := snapshotOf(t, c.sets)
		s.Held, s.HeldForGood = c.published.Held, c.published.HeldForGood
		status := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(c.node))
		wantCondition(t, c.name, status, configv1.ConditionReady, c.is, c.reason)
		if stalled := meta.FindStatusCondition(status.Conditions, configv1.ConditionStalled); (stalled != nil) != c.stalled {
			t.Errorf("%s: stalled %+v", c.name, stalled)
		}
	}
}

func TestManyNodesThatLostASetAreCounted(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	before := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20)))
	var many []mirrorsetv1alpha1.MirrorNodeStatus
	for i := range 30 {
		many = append(many, reported(20, without("s.com"), withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, fmt.Sprint("x", strings.Repeat("y", 500), i))))
	}
	status := statusOf(s, before, fleetOf(many...))
	wantCondition(t, "many", status, configv1.ConditionApplied, metav1.ConditionFalse, configv1.ReasonDegraded, "but now 30 nodes have not: node-0 (xyyy", "node-9 (", " and 20 more")
	if c := meta.FindStatusCondition(status.Conditions, configv1.ConditionApplied); len(c.Message) > 10*(maxWhy+50) {
		t.Errorf("the message has %d bytes", len(c.Message))
	}
}

// A source that inherits a set's mirrors, or its block, has to be in force for the set to be (T4).
func TestASetIsInForceWhereItsHeirsAre(t *testing.T) {
	s := snapshotOf(t, "T a: s.com -> t.net [Never]\nD b: s.com/x -> d.net/x\nD b: u.com/x -> d.net/x")
	tags := slices.IndexFunc(s.sets, func(set kinds.Set) bool { return set.Kind == kinds.Tag })
	of := func(source string) configv1.MirrorSetStatus {
		return s.of(tags, configv1.MirrorSetStatus{}, NewFleet(fleetOf(reported(20, without(source)))))
	}
	wantCondition(t, "an heir is withheld", of("s.com/x"), configv1.ConditionApplied, metav1.ConditionFalse, configv1.ReasonNodesFailing)
	wantCondition(t, "a source of another set is withheld", of("u.com/x"), configv1.ConditionApplied, metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes)
	if n := *of("s.com/x").Sources; n != 1 {
		t.Errorf("the set names %d sources, want 1", n)
	}
}
