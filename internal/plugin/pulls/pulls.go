// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pulls is the verb that lists the last pulls that the redirectors of nodes saw: the place that served each, and the mirrors that were
// passed over and why.
package pulls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// options are those of one run.
type options struct {
	cluster cluster.Flags
	listing output.Listing
	watch   bool
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlagsForPods()}
	cmd := &cobra.Command{
		Use:   "pulls [NODE | POD]",
		Short: "List the last pulls on nodes, and which place served each",
		Long: `List the last pulls that nodes saw: the place that served each, the mirrors that were passed over and why,
and the set that refused the pull. For a Pod, pulls lists only the pulls of its images on its node. A name
means a node if there is one with that name, otherwise a Pod; to choose, write node/NAME or pod/NAME.

Only containerd's pulls are seen. Each agent keeps the last 512 pulls of its node in memory. To read them,
pulls runs a command in the agents' Pods. You need the right to create pods/exec in Mirrorset's namespace.

Exit codes:
- 0: every agent answered
- 1: an error, or some agent could not be queried`,
		Example: "  kubectl mirrors pulls node-1\n" +
			"  kubectl mirrors pulls -n shop web-5d8c7 -o wide\n" +
			"  kubectl mirrors pulls --watch",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.complete,
		RunE:              o.run,
	}
	o.cluster.Add(cmd)
	o.listing.AddFlags(cmd, "table", "wide", "json", "yaml")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "keep printing pulls as they begin or change")
	return cmd
}

// report is what agents said.
type report struct {
	Nodes []node `json:"nodes"`
}

// node is what one said.
type node struct {
	Name string `json:"name"`
	// Since is when its access log began; nothing where it could not be asked.
	Since *time.Time `json:"since,omitempty"`
	// Error says why it could not.
	Error string           `json:"error,omitempty"`
	Pulls []accesslog.Pull `json:"pulls"`

	err error
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	if err := o.listing.Check(); err != nil {
		return err
	}
	if o.watch && !o.listing.IsTable() {
		return fmt.Errorf("--output %q: --watch prints tables only", o.listing.Name)
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	t, err := o.find(cmd.Context(), c, args)
	if err != nil {
		return err
	}
	if o.watch {
		return o.follow(cmd, c, t)
	}
	r := ask(cmd.Context(), c, t)
	if len(r.Nodes) == 1 && r.Nodes[0].err != nil {
		return fmt.Errorf("node %s: %w", r.Nodes[0].Name, r.Nodes[0].err)
	}
	if !o.listing.IsTable() {
		err = output.Value(cmd.OutOrStdout(), o.listing.Name, r)
	} else {
		err = o.print(cmd, c, t, r)
	}
	if err == nil && slices.ContainsFunc(r.Nodes, node.failed) {
		return command.Verdict(1)
	}
	return err
}

// failed reports whether a node should have told of its pulls and did not. One whose pulls nobody can see is not to.
func (n node) failed() bool {
	return n.err != nil && !errors.Is(n.err, cluster.ErrUnseen)
}

// atOnce bounds how many agents are asked at a time.
const atOnce = 8

// ask asks the agents of all nodes.
func ask(ctx context.Context, c *cluster.Cluster, t target) report {
	r := report{Nodes: make([]node, len(t.nodes))}
	turns := make(chan struct{}, atOnce)
	var asking sync.WaitGroup
	for i, name := range t.nodes {
		asking.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			n := &r.Nodes[i]
			n.Name, n.Pulls = name, []accesslog.Pull{}
			told, err := c.Pulls(ctx, name)
			if err != nil {
				n.err, n.Error = err, err.Error()
				return
			}
			n.Since = &told.Since
			for _, p := range told.Pulls {
				if t.wants(p) {
					n.Pulls = append(n.Pulls, p)
				}
			}
		})
	}
	asking.Wait()
	return r
}
