// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"testing"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/controller/configmap"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
)

// onlyNodes is a cluster that has these and nothing else.
type onlyNodes struct {
	client.Client
	nodes []corev1.Node
}

func (c *onlyNodes) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if nodes, ok := list.(*corev1.NodeList); ok {
		nodes.Items = slices.Clone(c.nodes)
	}
	return nil
}

// Nodes that do not count, as those without an agent, make no difference.
func TestThatAllNodesAreCanariesIsLoggedOnce(t *testing.T) {
	var lines []string
	ctx := ctrl.LoggerInto(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	one, two, other := fleettest.Node("a"), fleettest.Node("b"), fleettest.Node("w")
	one.Labels["canary"], two.Labels["canary"] = "yes", "yes"
	other.Labels[corev1.LabelOSStable] = "windows"
	plain := fleettest.Node("c")
	c := &onlyNodes{}
	p := &Publisher{Client: c, Canaries: k8slabels.SelectorFromSet(k8slabels.Set{"canary": "yes"})}
	for _, pass := range []struct {
		nodes          []corev1.Node
		canaries, said int
	}{
		{nil, 0, 0}, {[]corev1.Node{plain}, 0, 0}, {[]corev1.Node{one, two, plain}, 2, 0},
		{[]corev1.Node{one, two, other}, 2, 1}, {[]corev1.Node{one, two}, 2, 1}, {[]corev1.Node{one, plain}, 1, 1}, {[]corev1.Node{one}, 1, 2},
	} {
		c.nodes = pass.nodes
		canaries, err := p.canaries(ctx, configmap.Current{}, nil)
		if err != nil || len(canaries) != pass.canaries || len(lines) != pass.said {
			t.Errorf("%d nodes: %d canaries, error %v, logged %q; want %d and %d", len(pass.nodes), len(canaries), err, lines, pass.canaries, pass.said)
		}
	}
}
