// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// standing is where a node is with regard to what is published.
type standing string

// The standings of a node, the worst first.
const (
	// nodeFailing: it reports that it cannot follow, or that not all of what it has is in force.
	nodeFailing standing = "Failing"
	// nodeSilent: its agent says nothing.
	nodeSilent standing = "Silent"
	// nodeBehind: it has yet to follow.
	nodeBehind standing = "Behind"
	// nodeAhead: it has a later revision than what is published, as after etcd was restored. The manager publishes above it.
	nodeAhead standing = "Ahead"
	// nodeInForce: it has all of what is published in force.
	nodeInForce standing = "InForce"
)

var worstFirst = []standing{nodeFailing, nodeSilent, nodeBehind, nodeAhead, nodeInForce}

// fleet is where all nodes are.
type fleet struct {
	// Published is what nodes are to have in force; nothing where it cannot be read.
	Published *published `json:"published,omitempty"`
	// InForce counts the nodes that have it, and Total all.
	InForce int `json:"inForce"`
	Total   int `json:"total"`
	// Nodes are in the order of their standings, the worst first, and their names.
	Nodes []fleetNode `json:"nodes"`
}

// published names what was published exactly.
type published struct {
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`

	provisional bool
}

// fleetNode is where one node is.
type fleetNode struct {
	Name     string   `json:"name"`
	Runtime  string   `json:"runtime,omitempty"`
	Revision int64    `json:"revision,omitempty"`
	Standing standing `json:"state"`
	// AppliedAt is when the revision came into force.
	AppliedAt *metav1.Time `json:"appliedAt,omitempty"`
	// NotInForce are the sources that are not in force on the node.
	NotInForce []string `json:"notInForce,omitempty"`
	// Message says why the node is where it is, or what is to be done on it all the same.
	Message string `json:"message,omitempty"`
}

// survey tells where the nodes are. What is published may be nil.
func survey(nodes []mirrorsetv1alpha1.MirrorNode, p *payload.Payload) fleet {
	f := fleet{Total: len(nodes), Nodes: make([]fleetNode, 0, len(nodes))}
	if p != nil {
		f.Published = &published{Revision: p.Revision, Digest: p.Digest, provisional: p.Provisional}
	}
	for i := range nodes {
		status := &nodes[i].Status
		n := fleetNode{Name: nodes[i].Name, Runtime: runtimeOf(&nodes[i]), Revision: status.Revision, AppliedAt: status.AppliedAt, NotInForce: status.NotInForce}
		n.Standing, n.Message = stands(status, f.Published)
		if n.Standing == nodeInForce {
			f.InForce++
		}
		f.Nodes = append(f.Nodes, n)
	}
	slices.SortFunc(f.Nodes, func(a, b fleetNode) int {
		return cmp.Or(cmp.Compare(slices.Index(worstFirst, a.Standing), slices.Index(worstFirst, b.Standing)), cmp.Compare(a.Name, b.Name))
	})
	return f
}

// runtimeOf returns the runtime of the node's Pods: as its agent says, else as the kubelet does.
func runtimeOf(node *mirrorsetv1alpha1.MirrorNode) string {
	if len(node.Status.Runtimes) > 0 {
		return node.Status.Runtimes[0]
	}
	name, _, _ := strings.Cut(node.Annotations[mirrorsetv1alpha1.RuntimeAnnotation], "://")
	if name == "cri-o" {
		return "CRI-O"
	}
	return name
}

// stands tells where a node is, as the manager does for the sets.
func stands(status *mirrorsetv1alpha1.MirrorNodeStatus, p *published) (where standing, why string) {
	applied, ready := condition(status, mirrorsetv1alpha1.ConditionApplied), condition(status, mirrorsetv1alpha1.ConditionRuntimeReady)
	switch {
	case applied.Type == "":
		return nodeSilent, "no agent has reported from this node"
	case applied.Reason == mirrorsetv1alpha1.ReasonFailed:
		return nodeFailing, applied.Message
	case applied.Status == metav1.ConditionUnknown:
		return nodeSilent, applied.Message
	case p != nil && status.Revision < p.Revision && p.provisional && status.Revision > 0:
		return nodeBehind, fmt.Sprintf("it keeps what it has, because revision %d has no rules and may prove a mistake", p.Revision)
	case p != nil && status.Revision < p.Revision:
		return nodeBehind, ""
	case p != nil && status.Revision > p.Revision:
		return nodeAhead, fmt.Sprintf("it has a later revision than %d, which is published; the manager publishes again above it", p.Revision)
	case p != nil && status.Digest != p.Digest:
		return nodeBehind, "it has other content under the same revision"
	case applied.Status == metav1.ConditionFalse:
		return nodeFailing, applied.Message
	case ready.Status != metav1.ConditionTrue:
		return nodeInForce, ready.Message
	}
	return nodeInForce, ""
}

// condition returns one of the node's; the zero value where it has none.
func condition(status *mirrorsetv1alpha1.MirrorNodeStatus, kind string) metav1.Condition {
	if c := meta.FindStatusCondition(status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// done tells whether all nodes have what is published in force.
func (f fleet) done() bool {
	return f.Published != nil && f.InForce == f.Total && f.Total > 0
}

// String is the summary for people.
func (f fleet) String() string {
	var text string
	switch {
	case f.Total == 0:
		return "There is no node with an agent."
	case f.Published == nil:
		text = "Nothing is published that nodes could have in force"
	case f.InForce == f.Total:
		text = fmt.Sprintf("%s revision %d in force", plural(f.Total, "node has", "nodes have"), f.Published.Revision)
	default:
		text = fmt.Sprintf("%d of %s revision %d in force", f.InForce, plural(f.Total, "node has", "nodes have"), f.Published.Revision)
	}
	counts := make(map[standing]int)
	for i := range f.Nodes {
		counts[f.Nodes[i].Standing]++
	}
	separator := "; "
	for _, s := range worstFirst[:len(worstFirst)-1] {
		if counts[s] > 0 {
			text += fmt.Sprintf("%s%d %s", separator, counts[s], strings.ToLower(string(s)))
			separator = ", "
		}
	}
	return text + "."
}

// plural counts things.
func plural(count int, one, more string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, more)
}
