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

const (
	// silent is how long an agent may take to follow what is published, or be without a Ready Pod, before the status of its node shows
	// that.
	silent = time.Minute
	// answers is how long the word of an agent without a Ready Pod is taken, after it spoke up against its node's being marked. The
	// kubelet may be down, and the agent be well.
	answers = 10 * time.Minute
)

// seen is all that chores depend on, as it was at one moment.
type seen struct {
	settings  operand.AgentSettings
	nodes     []corev1.Node
	reports   []mirrorsetv1alpha1.MirrorNode
	published *standing.Published
	pods      map[string]*corev1.Pod // those of agents, by node; nil while they are not known
	namespace string                 // of these
	at        time.Time
}

// memory is what is remembered of nodes, by their names. Its times are those of this process, because other clocks may differ or jump.
type memory struct {
	behind map[string]lag
	absent map[string]absence
}

func newMemory() memory {
	return memory{behind: make(map[string]lag), absent: make(map[string]absence)}
}

// forget is for a node that has gone.
func (m memory) forget(node string) {
	delete(m.behind, node)
	delete(m.absent, node)
}

// lag is since when a node has been behind with one revision.
type lag struct {
	revision int64
	since    time.Time
}

// absence is since when a node has had no Ready Pod of an agent.
type absence struct {
	since time.Time
	// due is when the node is to be marked, if it says then that all is in force; zero where it says anything else.
	due time.Time
	// asked is whether it was marked, so that an agent which is there answers.
	asked bool
}

// asked takes note that a node was marked as one without an agent.
func (m memory) asked(node string) {
	if a, ok := m.absent[node]; ok {
		a.asked = true
		m.absent[node] = a
	}
}

// chores is the pending work on the fleet.
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

// choresOf compares the nodes that count with the existing objects.
func choresOf(s seen, remembered memory) chores {
	p := chores{annotate: make(map[string]string), mark: make(map[string]mark)}
	counted := make(map[string]*corev1.Node, len(s.nodes))
	for i := range s.nodes {
		if n := &s.nodes[i]; n.DeletionTimestamp == nil && s.settings.Counts(n) {
			counted[n.Name] = n
		}
	}
	for i := range s.reports {
		r := &s.reports[i]
		node, ok := counted[r.Name]
		if !ok || !slices.ContainsFunc(r.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == node.UID }) {
			p.remove = append(p.remove, *r) // of a node that has gone, or was replaced by another one of its name
			remembered.forget(r.Name)
			continue
		}
		delete(counted, r.Name)
		if runtime := node.Status.NodeInfo.ContainerRuntimeVersion; r.Annotations[mirrorsetv1alpha1.RuntimeAnnotation] != runtime {
			p.annotate[r.Name] = runtime
		}
		p.markSilent(r, s, remembered)
		p.markAbsent(r, s, remembered)
	}
	for _, node := range counted {
		p.create = append(p.create, mirrorNode(node))
	}
	return p
}

// lookAgain has the fleet looked over after a while at the latest.
func (p *chores) lookAgain(after time.Duration) {
	if p.again == 0 || after < p.again {
		p.again = after
	}
}

// unknown marks a node whose rules in force are unknown.
func (p *chores) unknown(node *mirrorsetv1alpha1.MirrorNode, at time.Time, reason, message string) {
	p.mark[node.Name] = mark{over: node.ResourceVersion, Condition: metav1.Condition{
		Type: mirrorsetv1alpha1.ConditionApplied, Status: metav1.ConditionUnknown, Reason: reason, Message: message,
		LastTransitionTime: metav1.Time{Time: at.Truncate(time.Second)},
	}}
}

// markSilent marks a node that never reported, or that does not follow what is published.
func (p *chores) markSilent(node *mirrorsetv1alpha1.MirrorNode, s seen, remembered memory) {
	m := Member{Name: node.Name, Status: node.Status}
	published := s.published.For(node.Name)
	switch {
	case len(m.Status.Conditions) == 0:
		p.unknown(node, s.at, mirrorsetv1alpha1.ReasonNeverReported, "no agent has reported from this node")
	case published == nil || !m.isBehind(published):
		delete(remembered.behind, m.Name)
	case m.Applied().Status == metav1.ConditionUnknown:
	default:
		if last, ok := remembered.behind[m.Name]; !ok || last.revision != m.Status.Revision {
			remembered.behind[m.Name] = lag{revision: m.Status.Revision, since: s.at}
		}
		if left := remembered.behind[m.Name].since.Add(silent).Sub(s.at); left > 0 {
			p.lookAgain(left)
			return
		}
		p.unknown(node, s.at, mirrorsetv1alpha1.ReasonAgentSilent, fmt.Sprintf("its agent has not put revision %d in force", published.Revision))
	}
}

// markAbsent marks a node as absent if its report says that all is in force, but no agent's Pod has been Ready there for a while. An agent
// that is still there repeats its report, and is then believed for longer. A node that reports a failure is left alone, because nobody
// mistakes that for good news.
func (p *chores) markAbsent(node *mirrorsetv1alpha1.MirrorNode, s seen, remembered memory) {
	pod := s.pods[node.Name]
	if s.pods == nil || pod != nil && isReady(pod) {
		delete(remembered.absent, node.Name)
		return
	}
	a, known := remembered.absent[node.Name]
	if !known {
		a.since = s.at
	}
	applied := Member{Status: node.Status}.Applied()
	inForce := applied.Status == metav1.ConditionTrue
	switch {
	case !inForce && applied.Reason != mirrorsetv1alpha1.ReasonAgentNotReady:
		a.due, a.asked = time.Time{}, false
	case inForce && a.asked:
		a.due, a.asked = s.at.Add(answers), false
	case inForce && a.due.IsZero():
		a.due = s.at.Add(silent)
	}
	remembered.absent[node.Name] = a
	if !inForce {
		return
	}
	if left := a.due.Sub(s.at); left > 0 {
		p.lookAgain(left)
		return
	}
	p.unknown(node, s.at, mirrorsetv1alpha1.ReasonAgentNotReady, s.absentMessage(pod, a.since, node.Status.Revision))
}

// absentMessage describes which Pod is not Ready, since when, what that means, and where to look.
func (s seen) absentMessage(pod *corev1.Pod, since time.Time, revision int64) string {
	what, look := "its agent has had no Pod since ", "daemonset/"+operand.AgentName
	if pod != nil {
		what, look = "its agent's Pod has not been Ready since ", "pod/"+pod.Name
		if c := readiness(pod); !c.LastTransitionTime.IsZero() {
			since = c.LastTransitionTime.Time
		}
	}
	return fmt.Sprintf("%s%s: the files of revision %d stay on the node, but no agent repairs them or reports on them; look at the Pod with: kubectl -n %s describe %s",
		what, since.UTC().Format(time.RFC3339), revision, s.namespace, look)
}

// mirrorNode returns the object of a node, which is deleted with the node.
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
