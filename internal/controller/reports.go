// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/plan"
)

// reports returns what nodes have in force. Publishing to the nodes does not depend on their reports. Where these are not available, for
// example before their CRD exists, only what is published is known.
func (p *Publisher) reports(ctx context.Context) []plan.InForce {
	bounded, cancel := context.WithTimeout(ctx, watchStart)
	defer cancel()
	var nodes mirrorsetv1alpha1.MirrorNodeList
	if err := p.Client.List(bounded, &nodes); err != nil {
		if err.Error() != p.unreported {
			p.unreported = err.Error()
			ctrl.LoggerFrom(ctx).Error(err, "Cannot read the reports of the nodes")
		}
		return nil
	}
	p.unreported = ""
	reports := make([]plan.InForce, 0, len(nodes.Items))
	for i := range nodes.Items {
		reports = append(reports, inForce(&nodes.Items[i]))
	}
	return reports
}

func inForce(node *mirrorsetv1alpha1.MirrorNode) plan.InForce {
	return plan.InForce{Node: node.Name, Revision: node.Status.Revision, Digest: node.Status.Digest}
}

// concerns reports whether a MirrorNode may lead to another decision. This is true for the MirrorNode of a canary, and of a node that has
// something in force that is not published, for example after etcd was restored from a snapshot.
func (p *Publisher) concerns(object client.Object) bool {
	node, ok := object.(*mirrorsetv1alpha1.MirrorNode)
	published := p.Board.Get()
	if !ok || published == nil {
		return false
	}
	if published.Canary.Takes(node.Name) {
		return true
	}
	return inForce(node).AheadOf(published.Revision, published.Digest)
}
