// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// newNode returns a Linux node with containerd; the options change it.
func newNode(name string, options ...func(*corev1.Node)) corev1.Node {
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name + "-uid"), Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
	node.Status.NodeInfo.ContainerRuntimeVersion = "containerd://2.4.2"
	for _, o := range options {
		o(&node)
	}
	return node
}

func tainted(key string, effect corev1.TaintEffect) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: "v", Effect: effect})
	}
}

func labelled(key, value string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Labels[key] = value }
}

func TestTheNodesThatCountAreThoseThatTheDaemonSetSelects(t *testing.T) {
	everywhere := []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	for _, c := range []struct {
		name     string
		node     corev1.Node
		settings AgentSettings
		want     bool
	}{
		{"a Linux node", newNode("n"), AgentSettings{}, true},
		{"another system's", newNode("n", labelled(corev1.LabelOSStable, "windows")), AgentSettings{}, false},
		{"one that was opted out", newNode("n", labelled(optOutLabel, "disabled")), AgentSettings{}, false},
		{"one with another value of that label", newNode("n", labelled(optOutLabel, "enabled")), AgentSettings{}, true},
		{"one outside of a canary", newNode("n"), AgentSettings{NodeSelector: map[string]string{"canary": ""}}, false},
		{"one of a canary", newNode("n", labelled("canary", "")), AgentSettings{NodeSelector: map[string]string{"canary": ""}}, true},
		{"one with a taint", newNode("n", tainted("gpu", corev1.TaintEffectNoSchedule)), AgentSettings{}, false},
		{"one with a taint that all tolerate", newNode("n", tainted("gpu", corev1.TaintEffectNoExecute)), AgentSettings{Tolerations: everywhere}, true},
		{"one with a taint that is tolerated by its value", newNode("n", tainted("gpu", corev1.TaintEffectNoSchedule)),
			AgentSettings{Tolerations: []corev1.Toleration{{Key: "gpu", Value: "v", Effect: corev1.TaintEffectNoSchedule}}}, true},
		{"one with another value of it", newNode("n", tainted("gpu", corev1.TaintEffectNoSchedule)),
			AgentSettings{Tolerations: []corev1.Toleration{{Key: "gpu", Value: "w"}}}, false},
		{"one with another effect of it", newNode("n", tainted("gpu", corev1.TaintEffectNoExecute)),
			AgentSettings{Tolerations: []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}}, false},
		{"one with a taint that is a wish", newNode("n", tainted("gpu", corev1.TaintEffectPreferNoSchedule)), AgentSettings{}, true},
		{"one that is not ready", newNode("n", tainted(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)), AgentSettings{}, true},
		{"one that is cordoned", newNode("n", tainted(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule)), AgentSettings{}, true},
	} {
		if got := c.settings.counts(&c.node); got != c.want {
			t.Errorf("%s: got %t", c.name, got)
		}
	}
}

// reported returns what an agent reported; the options change it.
func reported(revision int64, options ...func(*mirrorsetv1alpha1.MirrorNodeStatus)) mirrorsetv1alpha1.MirrorNodeStatus {
	status := mirrorsetv1alpha1.MirrorNodeStatus{Revision: revision, Digest: "d"}
	withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionTrue, mirrorsetv1alpha1.ReasonInForce, "")(&status)
	withCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionTrue, mirrorsetv1alpha1.ReasonReady, "")(&status)
	for _, o := range options {
		o(&status)
	}
	return status
}

func withCondition(kind string, is metav1.ConditionStatus, reason, message string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
	return func(s *mirrorsetv1alpha1.MirrorNodeStatus) {
		s.Conditions = append(slices.DeleteFunc(s.Conditions, func(c metav1.Condition) bool { return c.Type == kind }),
			metav1.Condition{Type: kind, Status: is, Reason: reason, Message: message})
	}
}

func without(sources ...string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
	return func(s *mirrorsetv1alpha1.MirrorNodeStatus) {
		s.NotInForce = sources
		withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "because")(s)
	}
}

func TestWhereANodeStands(t *testing.T) {
	applied := func(is metav1.ConditionStatus, reason string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
		return withCondition(mirrorsetv1alpha1.ConditionApplied, is, reason, "because")
	}
	for _, c := range []struct {
		name   string
		status mirrorsetv1alpha1.MirrorNodeStatus
		want   standing.Standing
		why    string
	}{
		{"at the first revision", reported(10), standing.InForce, ""},
		{"at a later one", reported(15), standing.InForce, ""},
		{"at what is published", reported(20), standing.InForce, ""},
		{"ahead of it", reported(30), standing.Behind, "it has a later revision than 20, which is published; the manager publishes again above it"},
		{"ahead of it, and refusing it", reported(30, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), standing.Failing, "because"},
		{"behind", reported(9), standing.Behind, ""},
		{"never reported", mirrorsetv1alpha1.MirrorNodeStatus{}, standing.Behind, ""},
		{"marked as never reported", mirrorsetv1alpha1.MirrorNodeStatus{Conditions: reported(0, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNeverReported)).Conditions}, standing.Behind, "because"},
		{"silent, and behind", reported(9, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentSilent)), standing.Behind, "because"},
		{"silent since, but far enough", reported(10, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentSilent)), standing.InForce, ""},
		{"with another digest", reported(20, func(s *mirrorsetv1alpha1.MirrorNodeStatus) { s.Digest = "e" }), standing.Behind, "it has other content under the same revision"},
		{"failing, and behind", reported(9, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), standing.Failing, "because"},
		{"failing with a later one", reported(10, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), standing.InForce, ""},
		{"without more sources than there is room for", reported(20, without(slices.Repeat([]string{"a.com"}, mirrorsetv1alpha1.MaxNotInForce)...)), standing.Failing, "because"},
		{"without that many, all behind", reported(20, without(slices.Repeat([]string{"z.com"}, mirrorsetv1alpha1.MaxNotInForce)...)), standing.InForce, ""},
		{"without one of the sources", reported(20, without("a.com", "s.com")), standing.Failing, "because"},
		{"without other sources", reported(20, without("a.com")), standing.InForce, ""},
		{"with a runtime that does not read", reported(20, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce),
			withCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotReady, "set config_path")), standing.Failing, "set config_path"},
		{"with a runtime of which that is not known", reported(20, withCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNotReady, "")), standing.InForce, ""},
	} {
		where, why := member{name: "n", status: c.status}.stands(10, map[string]bool{"s.com": true}, &Snapshot{Revision: 20, Digest: "d"})
		if where != c.want || why != c.why {
			t.Errorf("%s: got %s %q", c.name, where, why)
		}
	}
}

func TestNodesAreKnownWhereMirrorNodesAreNotServed(t *testing.T) {
	away := &meta.NoKindMatchError{GroupKind: mirrorsetv1alpha1.GroupVersion.WithKind("MirrorNode").GroupKind()}
	nodes, _, err := listFleet(t.Context(), &cached{nodes: []corev1.Node{newNode("n")}, err: away})
	if len(nodes) != 1 || !meta.IsNoMatchError(err) {
		t.Errorf("got %d nodes, error %v", len(nodes), err)
	}
}

func TestThePlanMakesTheObjectsMatchTheNodes(t *testing.T) {
	now := time.Now()
	object := func(node corev1.Node, status mirrorsetv1alpha1.MirrorNodeStatus) mirrorsetv1alpha1.MirrorNode {
		o := mirrorNode(&node)
		o.Status = status
		return o
	}
	reborn := newNode("reborn", func(n *corev1.Node) { n.UID = "another" })
	updated := newNode("updated", func(n *corev1.Node) { n.Status.NodeInfo.ContainerRuntimeVersion = "containerd://3" })
	nodes := []corev1.Node{newNode("new"), newNode("same"), newNode("fresh"), newNode("late"), newNode("failing"), newNode("opted", labelled(optOutLabel, "disabled")), reborn, updated,
		newNode("going", func(n *corev1.Node) { n.DeletionTimestamp = &metav1.Time{Time: now} })}
	reports := []mirrorsetv1alpha1.MirrorNode{
		object(newNode("same"), reported(20)), object(newNode("late"), reported(19)), object(newNode("opted"), reported(20)), object(newNode("reborn"), reported(20)),
		object(newNode("updated"), reported(20)), object(newNode("going"), reported(20)), object(newNode("gone"), reported(20)), object(newNode("fresh"), mirrorsetv1alpha1.MirrorNodeStatus{}),
		object(newNode("failing"), reported(19, withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, ""))),
	}
	published, behind := &Snapshot{Revision: 20, Digest: "d"}, map[string]lag{"late": {revision: 19, since: now.Add(-silent + time.Second)}}
	p := AgentSettings{}.chores(nodes, reports, published, behind, now)
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
	if p := (AgentSettings{}).chores(nodes, reports, &held, maps.Clone(behind), now.Add(time.Minute)); p.mark["late"].Reason != "" {
		t.Errorf("while nodes are to wait, to mark: %+v", p.mark)
	}
	p = AgentSettings{}.chores(nodes, reports, published, behind, now.Add(time.Minute))
	if len(p.mark) != 2 || p.mark["late"].Reason != mirrorsetv1alpha1.ReasonAgentSilent || p.mark["late"].Status != metav1.ConditionUnknown || p.again != 0 {
		t.Errorf("later, to mark: %+v, again in %s", p.mark, p.again)
	}
	if p := (AgentSettings{}).chores(nodes[1:2], reports[:1], nil, behind, now); len(p.create)+len(p.remove)+len(p.mark) != 0 {
		t.Errorf("before anything is published: %+v", p)
	}
}
