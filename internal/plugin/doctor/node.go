// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// lookAtNodes wants all nodes, or the ones named, to have in force what is published.
func (p *patient) lookAtNodes(ctx context.Context, only []string) error {
	nodes, err := p.Nodes(ctx)
	if err != nil {
		return err
	}
	if len(only) > 0 {
		nodes = slices.DeleteFunc(nodes, func(n mirrorsetv1alpha1.MirrorNode) bool { return !slices.Contains(only, n.Name) })
		if len(nodes) == 0 {
			return fmt.Errorf("there is no MirrorNode %q", only[0])
		}
	}
	f := cluster.Survey(nodes, p.published)
	healthy := 0
	for i := range f.Nodes {
		d := p.diagnose(&f.Nodes[i], nodes)
		p.lookAtTrial(&f.Nodes[i], nodes)
		if d.Health == fine && len(only) > 0 && p.published == nil {
			d.Health, d.Message = odd, fmt.Sprintf("revision %d is in force; whether that is what is published cannot be told", f.Nodes[i].Revision)
		}
		if d.Health == fine && len(only) == 0 {
			healthy++
			continue
		}
		p.found = append(p.found, d)
	}
	switch {
	case len(nodes) == 0:
		p.found.add(wrong, "nodes", "no node has an agent", "Agents run on Linux nodes that --agent-node-selector and --agent-tolerations of the manager allow; see kubectl -n "+p.Namespace+" get daemonset/"+cluster.AgentDaemonSet)
	case healthy > 0 && p.published == nil:
		p.found.add(odd, "nodes", fmt.Sprintf("%s something in force; whether that is what is published cannot be told", output.Plural(healthy, "node has", "nodes have")), "")
	case healthy > 0 && f.Canaries != nil:
		p.found.add(fine, "nodes", fmt.Sprintf("%s in force: revision %d, or as canaries %d", output.Plural(healthy, "node has what it is to have", "nodes have what they are to have"), p.published.Revision, f.Canaries.Revision), "")
	case healthy > 0:
		p.found.add(fine, "nodes", fmt.Sprintf("%s revision %d in force", output.Plural(healthy, "node has", "nodes have"), p.published.Revision), "")
	}
	if len(only) == 0 {
		p.lookAtCanaries(&f)
	}
	return nil
}

// diagnose tells what is to be done about a node.
func (p *patient) diagnose(n *cluster.Node, nodes []mirrorsetv1alpha1.MirrorNode) diagnosis {
	at := slices.IndexFunc(nodes, func(m mirrorsetv1alpha1.MirrorNode) bool { return m.Name == n.Name })
	d := diagnosis{Health: wrong, Subject: "node/" + n.Name, Message: n.Message}
	agent := fmt.Sprintf("kubectl -n %s get pods -l app.kubernetes.io/component=agent --field-selector spec.nodeName=%s", p.Namespace, n.Name)
	runtime := standing.Condition(&nodes[at].Status, mirrorsetv1alpha1.ConditionRuntimeReady)
	switch n.Standing {
	case standing.Failing:
	case standing.Silent:
		d.Remedy = "Look at its agent:\n" + agent
	case standing.Behind, standing.Ahead:
		d.Health = odd
		if d.Message == "" {
			d.Message = fmt.Sprintf("it has revision %d in force, and is about to follow to %d", n.Revision, p.published.RevisionFor(n.Name))
		}
		d.Remedy = "If it stays so for a minute, look at its agent:\n" + agent
	default:
		switch {
		case runtime.Status != metav1.ConditionTrue && runtime.Message != "":
			d.Message = runtime.Message
		case runtime.Reason == mirrorsetv1alpha1.ReasonReadyWithProblems:
			d.Health, d.Message = odd, runtime.Message
		default:
			d.Health, d.Message = fine, fmt.Sprintf("all of revision %d is in force", n.Revision)
		}
	}
	return d
}

// lookAtTrial wants the images that a node runs to be there after the last change of rules as they were before (docs/reference/semantics.md C9, C10).
func (p *patient) lookAtTrial(n *cluster.Node, nodes []mirrorsetv1alpha1.MirrorNode) {
	at := slices.IndexFunc(nodes, func(m mirrorsetv1alpha1.MirrorNode) bool { return m.Name == n.Name })
	unpullable := cluster.Unpullable(&nodes[at].Status)
	if unpullable == "" {
		return
	}
	remedy := "Mend the sets or the mirrors; kubectl mirrors check IMAGE asks the mirrors of an image."
	if p.published != nil {
		remedy += "\nTo have all nodes go back meanwhile: " + p.published.RolloutCommand("undo")
	}
	p.found.add(wrong, "node/"+n.Name, unpullable, remedy)
}
