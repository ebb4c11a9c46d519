// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/standing"
)

var worstFirst = []standing.Standing{standing.Failing, standing.Silent, standing.Behind, standing.Ahead, standing.InForce}

// Fleet is where all nodes are.
type Fleet struct {
	// Published is what nodes should have in force, unless they are canaries; nothing where it cannot be read.
	Published *Published `json:"published,omitempty"`
	// Canaries are the nodes that try something else first; nothing where none does.
	Canaries *Canaries `json:"canaries,omitempty"`
	// InForce counts the nodes that have what they should have, and Total all.
	InForce int `json:"inForce"`
	Total   int `json:"total"`
	// Nodes are in the order of their standings, the worst first, and their names.
	Nodes []Node `json:"nodes"`
}

// Published names what was published exactly.
type Published struct {
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
}

// Canaries are nodes that try a change before all others get it.
type Canaries struct {
	Published
	// InForce counts those that have it in force.
	InForce int `json:"inForce"`
	// Nodes are their names.
	Nodes []string `json:"nodes"`
	// Until is when all nodes get it if no canary reports trouble; nothing while a canary has yet to follow.
	Until *metav1.Time `json:"until,omitempty"`
}

// Node is where one node is.
type Node struct {
	Name     string            `json:"name"`
	Runtime  string            `json:"runtime,omitempty"`
	Revision int64             `json:"revision,omitempty"`
	Standing standing.Standing `json:"state"`
	// Canary says that the node is one.
	Canary bool `json:"canary,omitempty"`
	// AppliedAt is when the revision came into force.
	AppliedAt *metav1.Time `json:"appliedAt,omitempty"`
	// NotInForce are the sources that are not in force on the node.
	NotInForce []string `json:"notInForce,omitempty"`
	// SeesPulls says that it is known what the node's Pods pull, and MirrorFaults are the mirrors that they cannot pull from then.
	SeesPulls    bool                            `json:"seesPulls,omitempty"`
	MirrorFaults []mirrorsetv1alpha1.MirrorFault `json:"mirrorFaults,omitempty"`
	// Message says why the node is where it is, or what to do on it although its rules are in force.
	Message string `json:"message,omitempty"`
}

// Survey reports where the nodes are. The publication may be nil.
func Survey(nodes []mirrorsetv1alpha1.MirrorNode, p *Publication) Fleet {
	f := Fleet{Nodes: make([]Node, 0, len(nodes))}
	var wanted *standing.Published
	if p != nil {
		f.Published, wanted = &Published{Revision: p.Revision, Digest: p.Digest}, p.wanted()
		f.Canaries = canariesOf(p.Canary)
	}
	for i := range nodes {
		status := &nodes[i].Status
		n := Node{Name: nodes[i].Name, Runtime: runtimeOf(&nodes[i]), Revision: status.Revision, AppliedAt: status.AppliedAt, NotInForce: status.NotInForce}
		n.Canary = p != nil && p.Canary.Takes(n.Name)
		n.Standing, n.Message = standing.Of(status, wanted.For(n.Name))
		if n.Standing != standing.Silent && status.SeesPulls != nil { // otherwise nobody reports if that is still so
			n.SeesPulls, n.MirrorFaults = *status.SeesPulls, status.MirrorFaults
		}
		if n.Standing == standing.InForce && n.Message == "" {
			n.Message = Unpullable(status)
		}
		f.Nodes = append(f.Nodes, n)
	}
	slices.SortFunc(f.Nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(slices.Index(worstFirst, a.Standing), slices.Index(worstFirst, b.Standing)), cmp.Compare(a.Name, b.Name))
	})
	f.count()
	return f
}

func canariesOf(c *payload.Canary) *Canaries {
	if c == nil {
		return nil
	}
	canaries := &Canaries{Published: Published{Revision: c.Revision, Digest: c.Digest}, Nodes: c.Nodes}
	if !c.Until.IsZero() {
		canaries.Until = &c.Until
	}
	return canaries
}

// Unpullable says which images that run on a node could not be pulled again since the last change of rules; "" where all could, or nothing
// is known.
func Unpullable(node *mirrorsetv1alpha1.MirrorNodeStatus) string {
	if c := standing.Condition(node, mirrorsetv1alpha1.ConditionImagesPullable); c.Status == metav1.ConditionFalse {
		return c.Message
	}
	return ""
}

// Keep keeps the nodes of these names.
func (f *Fleet) Keep(names []string) {
	f.Nodes = slices.DeleteFunc(f.Nodes, func(n Node) bool { return !slices.Contains(names, n.Name) })
	if f.Canaries != nil {
		f.Canaries.Nodes = slices.DeleteFunc(slices.Clone(f.Canaries.Nodes), func(name string) bool { return !slices.Contains(names, name) })
		if len(f.Canaries.Nodes) == 0 {
			f.Canaries = nil
		}
	}
	f.count()
}

func (f *Fleet) count() {
	f.Total, f.InForce = len(f.Nodes), 0
	canaries := 0
	for i := range f.Nodes {
		if f.Nodes[i].Standing == standing.InForce {
			f.InForce++
			if f.Nodes[i].Canary {
				canaries++
			}
		}
	}
	if f.Canaries != nil {
		f.Canaries.InForce = canaries
	}
}

// runtimeOf returns the runtime of the node's Pods: as its agent reports it, otherwise as the kubelet does.
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

// Done reports whether all nodes have the same in force, which is what is published.
func (f Fleet) Done() bool {
	return f.Published != nil && f.Canaries == nil && f.InForce == f.Total && f.Total > 0
}

// String is the summary for people.
func (f Fleet) String() string {
	if f.Total == 0 {
		return "No node has an agent."
	}
	counts := make(map[standing.Standing]int)
	for i := range f.Nodes {
		counts[f.Nodes[i].Standing]++
	}
	text, separator := f.say(), "; "
	for _, s := range worstFirst[:len(worstFirst)-1] {
		if counts[s] > 0 {
			text += fmt.Sprintf("%s%d %s", separator, counts[s], strings.ToLower(string(s)))
			separator = ", "
		}
	}
	return text + "."
}

// say counts the nodes that have the rules that they should have, and the canaries among them separately.
func (f Fleet) say() string {
	if f.Published == nil {
		return "No rules are published"
	}
	if f.Canaries == nil {
		return sayInForce(f.InForce, f.Total, f.Published.Revision)
	}
	canaries := fmt.Sprintf("%s revision %d (%s it in force)", output.Plural(len(f.Canaries.Nodes), "canary tries", "canaries try"), f.Canaries.Revision,
		output.Plural(f.Canaries.InForce, "has", "have"))
	others := 0
	for i := range f.Nodes {
		if !f.Nodes[i].Canary {
			others++
		}
	}
	if others == 0 {
		return canaries
	}
	return sayInForce(f.InForce-f.Canaries.InForce, others, f.Published.Revision) + "; " + canaries
}

func sayInForce(have, total int, revision int64) string {
	text := fmt.Sprintf("%s revision %d in force", output.Plural(total, "node has", "nodes have"), revision)
	if have < total {
		text = fmt.Sprintf("%d of %s", have, text)
	}
	return text
}

// Fleet asks the cluster where its nodes are.
func (c *Cluster) Fleet(ctx context.Context) (Fleet, error) {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return Fleet{}, err
	}
	p, err := c.Published(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return Survey(nodes, nil), nil
	case err != nil:
		return Fleet{}, err
	}
	return Survey(nodes, &p), nil
}
