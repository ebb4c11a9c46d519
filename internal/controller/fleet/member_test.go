// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
)

// unserved has one node, and no MirrorNodes to be had.
type unserved struct {
	client.Reader
}

var errUnserved = &meta.NoKindMatchError{GroupKind: mirrorsetv1alpha1.GroupVersion.WithKind("MirrorNode").GroupKind()}

func (unserved) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if nodes, ok := list.(*corev1.NodeList); ok {
		nodes.Items = []corev1.Node{fleettest.Node("n")}
		return nil
	}
	return errUnserved
}

func TestNodesAreKnownWhereMirrorNodesAreNotServed(t *testing.T) {
	nodes, _, err := List(t.Context(), unserved{})
	if len(nodes) != 1 || !meta.IsNoMatchError(err) {
		t.Errorf("got %d nodes, error %v", len(nodes), err)
	}
}

func TestANodeIsSpokenForWhileItsAgentIsThere(t *testing.T) { // S8, V8
	as := func(is metav1.ConditionStatus, reason string) mirrorsetv1alpha1.MirrorNodeStatus {
		return fleettest.Reported(1, fleettest.Seeing(), fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, is, reason, ""))
	}
	for name, c := range map[string]struct {
		status                    mirrorsetv1alpha1.MirrorNodeStatus
		reported, spokenFor, sees bool
	}{
		"nothing is there":   {mirrorsetv1alpha1.MirrorNodeStatus{}, false, false, false},
		"it never reported":  {as(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNeverReported), false, false, true},
		"it is in force":     {as(metav1.ConditionTrue, mirrorsetv1alpha1.ReasonInForce), true, true, true},
		"it fails":           {as(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed), true, true, true},
		"its agent is away":  {as(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentNotReady), true, false, true},
		"its agent is older": {fleettest.Reported(1), true, true, false},
	} {
		m := Member{Status: c.status}
		if m.HasReported() != c.reported || m.IsSpokenFor() != c.spokenFor || m.SeesPulls() != c.sees {
			t.Errorf("%s: reported %t, spoken for %t, sees %t", name, m.HasReported(), m.IsSpokenFor(), m.SeesPulls())
		}
	}
}
