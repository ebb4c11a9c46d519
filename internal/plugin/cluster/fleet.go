// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/standing"
)

var worstFirst = []standing.Standing{standing.Failing, standing.Silent, standing.Behind, standing.Ahead, standing.InForce}

// Fleet is where all nodes are.
type Fleet struct {
	// Published is what nodes are to have in force; nothing where it cannot be read.
	Published *Published `json:"published,omitempty"`
	// InForce counts the nodes that have it, and Total all.
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

// Node is where one node is.
type Node struct {
	Name     string            `json:"name"`
	Runtime  string            `json:"runtime,omitempty"`
	Revision int64             `json:"revision,omitempty"`
	Standing standing.Standing `json:"state"`
	// AppliedAt is when the revision came into force.
	AppliedAt *metav1.Time `json:"appliedAt,omitempty"`
	// NotInForce are the sources that are not in force on the node.
	NotInForce []string `json:"notInForce,omitempty"`
	// Message says why the node is where it is, or what is to be done on it all the same.
	Message string `json:"message,omitempty"`
}

// Survey tells where the nodes are. What is published may be nil.
func Survey(nodes []mirrorsetv1alpha1.MirrorNode, p *payload.Payload) Fleet {
	f := Fleet{Total: len(nodes), Nodes: make([]Node, 0, len(nodes))}
	var wanted *standing.Published
	if p != nil {
		f.Published = &Published{Revision: p.Revision, Digest: p.Digest}
		wanted = &standing.Published{Revision: p.Revision, Digest: p.Digest, Provisional: p.Provisional, Believed: payload.Believed(time.Now().UnixMilli(), p.Revision)}
	}
	for i := range nodes {
		status := &nodes[i].Status
		n := Node{Name: nodes[i].Name, Runtime: runtimeOf(&nodes[i]), Revision: status.Revision, AppliedAt: status.AppliedAt, NotInForce: status.NotInForce}
		n.Standing, n.Message = standing.Of(status, wanted)
		if n.Standing == standing.InForce {
			f.InForce++
		}
		f.Nodes = append(f.Nodes, n)
	}
	slices.SortFunc(f.Nodes, func(a, b Node) int {
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

// Done tells whether all nodes have what is published in force.
func (f Fleet) Done() bool {
	return f.Published != nil && f.InForce == f.Total && f.Total > 0
}

// String is the summary for people.
func (f Fleet) String() string {
	var text string
	switch {
	case f.Total == 0:
		return "There is no node with an agent."
	case f.Published == nil:
		text = "Nothing is published that nodes could have in force"
	case f.InForce == f.Total:
		text = fmt.Sprintf("%s revision %d in force", output.Plural(f.Total, "node has", "nodes have"), f.Published.Revision)
	default:
		text = fmt.Sprintf("%d of %s revision %d in force", f.InForce, output.Plural(f.Total, "node has", "nodes have"), f.Published.Revision)
	}
	counts := make(map[standing.Standing]int)
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

// Pending says why what is published is not known to be of these very sets; "" where it is.
func Pending(sets []kinds.Set, p payload.Payload) string {
	switch p.Sets {
	case "":
		return "what is published does not say which sets it is of, as that of a manager older than this plugin"
	case kinds.DigestOf(sets):
		return ""
	}
	return "the manager has yet to publish the latest change or deletion of a set"
}
