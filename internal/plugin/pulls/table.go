// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package pulls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// columns are those of the table. That of nodes is left out for pulls of one.
func columns(several bool) []metav1.TableColumnDefinition {
	all := []metav1.TableColumnDefinition{
		{Name: "Time", Type: "string"},
		{Name: "Node", Type: "string"},
		{Name: "Image", Type: "string"},
		{Name: "Served By", Type: "string"},
		{Name: "Passed Over", Type: "string"},
		{Name: "Bytes", Type: "integer"},
		{Name: "MS", Type: "integer"},
		{Name: "Refused By", Type: "string"},
		{Name: "Would Be Refused By", Type: "string", Priority: 1},
		{Name: "Why", Type: "string", Priority: 1},
	}
	if !several {
		all = slices.Delete(all, 1, 2)
	}
	return all
}

// pullOf is one on a node.
type pullOf struct {
	node string
	accesslog.Pull
}

// rows are those of pulls. The text of an agent comes from registries and Pods too, so it must not control a terminal.
func rows(pulls []pullOf, several bool) [][]any {
	all := make([][]any, 0, len(pulls))
	for i := range pulls {
		p := &pulls[i]
		var bytes int64
		var took time.Duration
		var served, passed, why []string
		for _, t := range p.Tries {
			bytes, took = bytes+t.Bytes, took+t.Took
			place := placeOf(t)
			switch t.Outcome {
			case accesslog.Served:
				served = append(served, place)
			case accesslog.Sent:
				served = append(served, place+" (sent)")
			case accesslog.Refused:
			default:
				passed = append(passed, place+": "+strings.ReplaceAll(string(t.Outcome), "_", " "))
			}
			if t.Why != "" {
				why = append(why, place+": "+t.Why)
			}
		}
		refused := p.RefusedBy
		if p.Refusal != "" {
			why = append(why, p.Refusal)
			refused = cmp.Or(refused, "<unknown>")
		}
		cells := []any{cluster.Clock(metav1.NewTime(p.Began)), output.Harmless(p.node), output.Harmless(p.Image), cell(served...), cell(passed...), bytes, took.Milliseconds(), cell(refused), cell(p.WouldRefuse), cell(why...)}
		if !several {
			cells = slices.Delete(cells, 1, 2)
		}
		all = append(all, cells)
	}
	return all
}

// placeOf is short where the image says the rest.
func placeOf(t accesslog.Tries) string {
	if t.Source {
		return "the source"
	}
	return t.Place
}

func cell(texts ...string) string {
	return cmp.Or(output.Harmless(strings.Join(texts, ", ")), "<none>")
}

// print prints the pulls of all nodes in the order in which they began, and says what is not known.
func (o *options) print(cmd *cobra.Command, c *cluster.Cluster, t target, r report) error {
	var all []pullOf
	for i := range r.Nodes {
		for _, p := range r.Nodes[i].Pulls {
			all = append(all, pullOf{r.Nodes[i].Name, p})
		}
	}
	slices.SortStableFunc(all, func(a, b pullOf) int { return a.Began.Compare(b.Began) })
	if len(all) > 0 {
		if err := o.listing.NewTable(cmd.OutOrStdout(), columns(t.all)...).Print(rows(all, t.all)...); err != nil {
			return err
		}
	}
	stderr := cmd.ErrOrStderr()
	for i := range r.Nodes {
		if n := &r.Nodes[i]; n.err != nil {
			fmt.Fprintln(stderr, sayFailed(n.Name, n.err))
		}
	}
	sayDoubts(cmd.Context(), c, t, func(line string) { fmt.Fprintln(stderr, line) })
	fmt.Fprintln(stderr, r.say(t, len(all)))
	return nil
}

// sayFailed says of one node among several why its pulls are not known.
func sayFailed(name string, err error) string {
	kind := "warning"
	if errors.Is(err, cluster.ErrUnseen) {
		kind = "note"
	}
	return output.Harmless(fmt.Sprintf("%s: node %s: %v", kind, name, err))
}

// sayDoubts warns of nodes whose runtime goes past the redirector, as far as they say so.
func sayDoubts(ctx context.Context, c *cluster.Cluster, t target, say func(string)) {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return // who may ask an agent need not be allowed to read MirrorNodes
	}
	for i := range nodes {
		if !slices.Contains(t.nodes, nodes[i].Name) {
			continue
		}
		if why := cluster.PastRedirector(&nodes[i].Status); why != "" {
			say(output.Harmless(fmt.Sprintf("warning: node %s: pulls bypass the redirector, so they are not listed: %s", nodes[i].Name, why)))
		}
	}
}
