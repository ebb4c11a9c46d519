// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
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
