// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// silent is how long an agent may take to follow what is published before its node shows it as silent.
const silent = time.Minute

// lag is since when a node has been behind with one revision.
type lag struct {
	revision int64
	since    time.Time
}

// chores are what is to be done about the fleet.
type chores struct {
	create   []mirrorsetv1alpha1.MirrorNode
	remove   []mirrorsetv1alpha1.MirrorNode
	annotate map[string]string // with the runtime, by name
	mark     map[string]mark   // by name
	again    time.Duration
}

// mark is a condition, and the resource version of the object that it is about.
type mark struct {
	metav1.Condition
	over string
}

// choresOf compares the nodes that count with the objects that there are. It keeps in behind which nodes do not follow.
func choresOf(s operand.AgentSettings, nodes []corev1.Node, reports []mirrorsetv1alpha1.MirrorNode, published *standing.Published, behind map[string]lag, now time.Time) chores {
	p := chores{annotate: make(map[string]string), mark: make(map[string]mark)}
	counted := make(map[string]*corev1.Node, len(nodes))
	for i := range nodes {
		if n := &nodes[i]; n.DeletionTimestamp == nil && s.Counts(n) {
			counted[n.Name] = n
		}
	}
	for i := range reports {
		r := &reports[i]
		node, ok := counted[r.Name]
		if !ok || !slices.ContainsFunc(r.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == node.UID }) {
			p.remove = append(p.remove, *r) // of a node that has gone, or was replaced by another one of its name
			delete(behind, r.Name)
			continue
		}
		delete(counted, r.Name)
		if runtime := node.Status.NodeInfo.ContainerRuntimeVersion; r.Annotations[mirrorsetv1alpha1.RuntimeAnnotation] != runtime {
			p.annotate[r.Name] = runtime
		}
		p.markSilent(r, published, behind, now)
	}
	for _, node := range counted {
		p.create = append(p.create, mirrorNode(node))
	}
	return p
}

// markSilent has a node show as such that never reported, or does not follow what is published.
func (p *chores) markSilent(node *mirrorsetv1alpha1.MirrorNode, published *standing.Published, behind map[string]lag, now time.Time) {
	m := Member{Name: node.Name, Status: node.Status}
	condition := metav1.Condition{Type: mirrorsetv1alpha1.ConditionApplied, Status: metav1.ConditionUnknown, LastTransitionTime: metav1.Time{Time: now.Truncate(time.Second)}}
	applied := m.Applied()
	switch {
	case len(m.Status.Conditions) == 0:
		condition.Reason, condition.Message = mirrorsetv1alpha1.ReasonNeverReported, "no agent has reported from this node"
	case published == nil || !m.isBehind(published):
		delete(behind, m.Name)
		return
	case applied.Status == metav1.ConditionUnknown:
		return
	default:
		if last, ok := behind[m.Name]; !ok || last.revision != m.Status.Revision {
			behind[m.Name] = lag{revision: m.Status.Revision, since: now}
		}
		if left := behind[m.Name].since.Add(silent).Sub(now); left > 0 {
			if p.again == 0 || left < p.again {
				p.again = left
			}
			return
		}
		condition.Reason = mirrorsetv1alpha1.ReasonAgentSilent
		condition.Message = fmt.Sprintf("its agent has not followed to revision %d", published.Revision)
	}
	p.mark[m.Name] = mark{Condition: condition, over: node.ResourceVersion}
}

// mirrorNode returns the object of a node, which goes with it.
func mirrorNode(node *corev1.Node) mirrorsetv1alpha1.MirrorNode {
	return mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{
		Name: node.Name,
		Labels: map[string]string{
			"app.kubernetes.io/name":       "mirrorset",
			"app.kubernetes.io/component":  "agent",
			"app.kubernetes.io/managed-by": payload.FieldManager,
		},
		Annotations:     map[string]string{mirrorsetv1alpha1.RuntimeAnnotation: node.Status.NodeInfo.ContainerRuntimeVersion},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}},
	}}
}
