// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// optOutLabel keeps agents off a node; its value for that is "disabled".
const optOutLabel = "mirrorset.io/agent"

// counts tells whether a node is one of those that the agents' DaemonSet selects.
func (s AgentSettings) counts(node *corev1.Node) bool {
	if node.Labels[corev1.LabelOSStable] != "linux" || node.Labels[optOutLabel] == "disabled" {
		return false
	}
	for key, value := range s.NodeSelector {
		if got, ok := node.Labels[key]; !ok || got != value {
			return false
		}
	}
	for i := range node.Spec.Taints {
		if taint := &node.Spec.Taints[i]; taint.Effect != corev1.TaintEffectPreferNoSchedule && !s.tolerates(taint) {
			return false
		}
	}
	return true
}

// daemonTaints are those that every Pod of a DaemonSet on the host's network tolerates.
var daemonTaints = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeUnschedulable, corev1.TaintNodeMemoryPressure,
	corev1.TaintNodeDiskPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable,
}

func (s AgentSettings) tolerates(taint *corev1.Taint) bool {
	return slices.Contains(daemonTaints, taint.Key) || slices.ContainsFunc(s.Tolerations, func(t corev1.Toleration) bool {
		return (t.Effect == "" || t.Effect == taint.Effect) && (t.Key == "" || t.Key == taint.Key) &&
			(t.Operator == corev1.TolerationOpExists || (t.Operator == "" || t.Operator == corev1.TolerationOpEqual) && t.Value == taint.Value)
	})
}

// member is a node that counts.
type member struct {
	name   string
	status mirrorsetv1alpha1.MirrorNodeStatus
}

// members returns the nodes that counts by name, with what their agents reported.
func members(nodes []corev1.Node, reports []mirrorsetv1alpha1.MirrorNode, settings AgentSettings) []member {
	byName := make(map[string]mirrorsetv1alpha1.MirrorNodeStatus, len(reports))
	for i := range reports {
		byName[reports[i].Name] = reports[i].Status
	}
	all := make([]member, 0, len(nodes))
	for i := range nodes {
		if nodes[i].DeletionTimestamp == nil && settings.counts(&nodes[i]) {
			all = append(all, member{name: nodes[i].Name, status: byName[nodes[i].Name]})
		}
	}
	slices.SortFunc(all, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	return all
}

// applied returns the condition about what is in force; the zero value where there is none.
func (m member) applied() metav1.Condition {
	return standing.Condition(&m.status, mirrorsetv1alpha1.ConditionApplied)
}

// stands tells where the node is with regard to the first revision that holds a set with these sources.
func (m member) stands(revision int64, sources map[string]bool, published *Snapshot) (where standing.Standing, why string) {
	return standing.OfSources(&m.status, revision, sources, &standing.Published{Revision: published.Revision, Digest: published.Digest, Provisional: published.Provisional})
}

// isBehind tells whether the node has yet to reach what is published, and has not said that it cannot.
func (m member) isBehind(published *Snapshot) bool {
	return !published.Provisional && m.status.Revision < published.Revision && m.applied().Reason != mirrorsetv1alpha1.ReasonFailed
}
