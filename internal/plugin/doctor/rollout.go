// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"slices"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// lookAtRollout wants what is published to be what the sets say, and nobody's order to stand in the way of the next change
// (docs/reference/semantics.md C3 to C6).
func (p *patient) lookAtRollout(sets []kinds.Set) {
	if p.published == nil {
		return
	}
	hold := p.published.Hold(sets)
	switch {
	case hold == nil:
		p.lookAtOrders()
	case hold.Reason == configv1.ReasonNotPublished: // as the sets say themselves
	case !hold.Waits():
		p.found.add(wrong, "sets", "not in force as they are now: "+hold.Why, hold.Remedy)
	case hold.Reason == configv1.ReasonCanaryProgressing:
		p.found.add(odd, "sets", "not yet in force on all nodes: "+hold.Why, "To follow it: "+p.published.RolloutCommand("status"))
	default:
		p.found.add(odd, "sets", hold.Why, "If this lasts for more than a minute, check the manager:\nkubectl -n "+p.Namespace+" logs deployment/"+cluster.ManagerDeployment)
	}
}

// lookAtCanaries wants canaries to be some of the nodes, because a change reaches all nodes immediately where all are canaries.
func (p *patient) lookAtCanaries(f *cluster.Fleet) {
	if f.Canaries == nil || f.Total == 0 || slices.ContainsFunc(f.Nodes, func(n cluster.Node) bool { return !n.Canary }) {
		return
	}
	p.found.add(odd, "rollout", "all nodes are canaries, so each change reaches all of them immediately", "Change the manager's --canary-selector so that it matches fewer nodes.")
}

// lookAtOrders is for what keeps nothing back at present.
func (p *patient) lookAtOrders() {
	resume := "To let changes through again: " + p.published.RolloutCommand("resume")
	if undone := p.published.Undone; undone != nil {
		p.found.add(odd, "rollout", cluster.SayUndo(undone)+"; the next change of a set must wait", resume)
	}
	if paused := p.published.Paused; paused != nil {
		p.found.add(odd, "rollout", cluster.SayPause(paused)+"; the next change of a set must wait", resume)
	}
}
