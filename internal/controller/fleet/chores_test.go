// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
	"github.com/mirrorset/mirrorset/internal/standing"
)

func TestThePlanMakesTheObjectsMatchTheNodes(t *testing.T) {
	now := time.Now()
	object := func(node corev1.Node, status mirrorsetv1alpha1.MirrorNodeStatus) mirrorsetv1alpha1.MirrorNode {
		o := mirrorNode(&node)
		o.Status = status
		return o
	}
	reborn := fleettest.Node("reborn", func(n *corev1.Node) { n.UID = "another" })
	updated := fleettest.Node("updated", func(n *corev1.Node) { n.Status.NodeInfo.ContainerRuntimeVersion = "containerd://3" })
	nodes := []corev1.Node{fleettest.Node("new"), fleettest.Node("same"), fleettest.Node("fresh"), fleettest.Node("late"), fleettest.Node("failing"), fleettest.Node("opted", fleettest.Labelled("mirrorset.io/agent", "disabled")), reborn, updated,
		fleettest.Node("going", func(n *corev1.Node) { n.DeletionTimestamp = &metav1.Time{Time: now} })}
	reports := []mirrorsetv1alpha1.MirrorNode{
		object(fleettest.Node("same"), fleettest.Reported(20)), object(fleettest.Node("late"), fleettest.Reported(19)), object(fleettest.Node("opted"), fleettest.Reported(20)), object(fleettest.Node("reborn"), fleettest.Reported(20)),
		object(fleettest.Node("updated"), fleettest.Reported(20)), object(fleettest.Node("going"), fleettest.Reported(20)), object(fleettest.Node("gone"), fleettest.Reported(20)), object(fleettest.Node("fresh"), mirrorsetv1alpha1.MirrorNodeStatus{}),
		object(fleettest.Node("failing"), fleettest.Reported(19, fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, ""))),
	}
	published := &standing.Published{Revision: 20, Digest: "d"}
	at := func(now time.Time, p *standing.Published) seen {
		return seen{nodes: nodes, reports: reports, published: p, at: now}
	}
	remembered := func() memory {
		m := newMemory()
		m.behind["late"] = lag{revision: 19, since: now.Add(-silent + time.Second)}
		return m
	}
	going := remembered()
	p := choresOf(at(now, published), going)
	created := make(map[string]types.UID)
	for i := range p.create {
		created[p.create[i].Name] = p.create[i].OwnerReferences[0].UID
		if runtime := p.create[i].Annotations[mirrorsetv1alpha1.RuntimeAnnotation]; runtime != "containerd://2.4.2" {
			t.Errorf("%s has runtime %q", p.create[i].Name, runtime)
		}
	}
	if !maps.Equal(created, map[string]types.UID{"new": "new-uid", "reborn": "another"}) {
		t.Errorf("to create: %q", created)
	}
	var removed []string
	for i := range p.remove {
		removed = append(removed, p.remove[i].Name)
	}
	if !slices.Equal(removed, []string{"opted", "reborn", "going", "gone"}) {
		t.Errorf("to remove: %q", removed)
	}
	if len(p.annotate) != 1 || p.annotate["updated"] != "containerd://3" {
		t.Errorf("to annotate: %q", p.annotate)
	}
	if len(p.mark) != 1 || p.mark["fresh"].Reason != mirrorsetv1alpha1.ReasonNeverReported || p.again <= 0 || p.again > time.Second {
		t.Errorf("to mark: %+v, again in %s", p.mark, p.again)
	}
	held := *published
	held.Provisional = true
	if p := choresOf(at(now.Add(time.Minute), &held), remembered()); p.mark["late"].Reason != "" {
		t.Errorf("while nodes are to wait, to mark: %+v", p.mark)
	}
	p = choresOf(at(now.Add(time.Minute), published), going)
	if len(p.mark) != 2 || p.mark["late"].Reason != mirrorsetv1alpha1.ReasonAgentSilent || p.mark["late"].Status != metav1.ConditionUnknown || p.again != 0 {
		t.Errorf("later, to mark: %+v, again in %s", p.mark, p.again)
	}
	if p := choresOf(seen{nodes: nodes[1:2], reports: reports[:1], at: now}, newMemory()); len(p.create)+len(p.remove)+len(p.mark) != 0 {
		t.Errorf("before anything is published: %+v", p)
	}
}
