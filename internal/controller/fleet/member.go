// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// List returns all nodes, and what their agents reported. Nodes are there even where MirrorNodes cannot be had.
func List(ctx context.Context, c client.Reader) ([]corev1.Node, []mirrorsetv1alpha1.MirrorNode, error) {
	var nodes corev1.NodeList
	var reports mirrorsetv1alpha1.MirrorNodeList
	err := errors.Join(c.List(ctx, &nodes), c.List(ctx, &reports))
	if err != nil {
		err = fmt.Errorf("listing nodes: %w", err)
	}
	return nodes.Items, reports.Items, err
}

// Member is a node that counts.
type Member struct {
	Name   string
	Status mirrorsetv1alpha1.MirrorNodeStatus
}

// Members returns the nodes that counts by name, with what their agents reported.
func Members(nodes []corev1.Node, reports []mirrorsetv1alpha1.MirrorNode, settings operand.AgentSettings) []Member {
	byName := make(map[string]mirrorsetv1alpha1.MirrorNodeStatus, len(reports))
	for i := range reports {
		byName[reports[i].Name] = reports[i].Status
	}
	all := make([]Member, 0, len(nodes))
	for i := range nodes {
		if nodes[i].DeletionTimestamp == nil && settings.Counts(&nodes[i]) {
			all = append(all, Member{Name: nodes[i].Name, Status: byName[nodes[i].Name]})
		}
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Applied returns the condition about what is in force, or the zero value where there is none.
func (m Member) Applied() metav1.Condition {
	return standing.Condition(&m.Status, mirrorsetv1alpha1.ConditionApplied)
}

// HasReported reports whether an agent has ever reported from the node.
func (m Member) HasReported() bool {
	reason := m.Applied().Reason
	return reason != "" && reason != mirrorsetv1alpha1.ReasonNeverReported
}

// IsSpokenFor reports whether the report about the node is the current one of its agent (S8).
func (m Member) IsSpokenFor() bool {
	return m.HasReported() && m.Applied().Status != metav1.ConditionUnknown
}

// SeesPulls reports whether the node's agent sees the pulls of its Pods, or did so in its last report (docs/reference/semantics.md V6 and
// V8).
func (m Member) SeesPulls() bool {
	return m.Status.SeesPulls != nil && *m.Status.SeesPulls
}

// isBehind reports whether the node has not reached what is published, and has not reported that it cannot.
func (m Member) isBehind(published *standing.Published) bool {
	return !published.Provisional && m.Status.Revision < published.Revision && m.Applied().Reason != mirrorsetv1alpha1.ReasonFailed
}
