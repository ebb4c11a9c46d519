// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodes is the verb that lists the rules that nodes have in force, and waits until all nodes have the present ones.
package nodes

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// options are those of one run.
type options struct {
	cluster cluster.Flags
	listing output.Listing
	watch   bool
	timeout time.Duration
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "nodes [NODE...]",
		Short: "List the rules that nodes have in force, nodes with trouble first",
		Long: `List the rules that nodes have in force, nodes with trouble first.

With --watch, print a row for each change, and end when all nodes have the sets in force as they are now,
with every change and every deletion.

You need the rights to list mirrornodes and to get the ConfigMap containers-registries.conf; for --watch,
to list and watch these and the sets.

Exit codes:
- 0: the list was printed; with --watch, all nodes have the sets in force
- 1: an error, or the timeout of --watch`,
		Example: "  kubectl mirrors nodes -o wide\n" +
			"  kubectl apply -f sets/ && kubectl mirrors nodes --watch --timeout=2m",
		ValidArgsFunction: o.cluster.CompleteNodes,
		RunE:              o.run,
	}
	o.cluster.Add(cmd)
	o.listing.AddFlags(cmd, "table", "wide", "json", "yaml", "name")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "print changes until all nodes have the sets in force as they are now")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "with --watch, how long to wait before giving up with exit code 1; 0 means no limit")
	command.CompleteWith(cmd, "timeout")
	return cmd
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	if err := o.listing.Check(); err != nil {
		return err
	}
	if !o.watch {
		if err := command.OnlyWith(cmd, "--watch", "timeout"); err != nil {
			return err
		}
	}
	if o.watch && !o.listing.IsTable() {
		return fmt.Errorf("--output %q: --watch prints tables only", o.listing.Name)
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	if o.watch {
		return o.follow(cmd, c, args)
	}
	f, err := c.Fleet(cmd.Context())
	if err == nil {
		err = only(&f, args)
	}
	if err != nil {
		return err
	}
	return o.print(cmd, f)
}

func (o *options) print(cmd *cobra.Command, f cluster.Fleet) error {
	out := cmd.OutOrStdout()
	switch o.listing.Name {
	case "json", "yaml":
		return output.Value(out, o.listing.Name, f)
	case "name":
		for i := range f.Nodes {
			fmt.Fprintf(out, "mirrornode.%s/%s\n", mirrorsetv1alpha1.GroupVersion.Group, f.Nodes[i].Name)
		}
		return nil
	}
	if err := o.listing.NewTable(out, nodeColumns...).Print(nodeRows(f.Nodes, time.Now())...); err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), f)
	return nil
}

// only keeps the nodes of these names, and all where there are none.
func only(f *cluster.Fleet, names []string) error {
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(f.Nodes, func(n cluster.Node) bool { return n.Name == name }) {
			return fmt.Errorf("there is no MirrorNode %q", name)
		}
	}
	f.Keep(names)
	return nil
}

var nodeColumns = []metav1.TableColumnDefinition{
	{Name: "Node", Type: "string", Format: "name"},
	{Name: "Runtime", Type: "string"},
	{Name: "Revision", Type: "string"},
	{Name: "State", Type: "string"},
	{Name: "Age", Type: "string"},
	{Name: "Canary", Type: "string", Priority: 1},
	{Name: "Faults", Type: "string", Priority: 1},
	{Name: "Message", Type: "string", Priority: 1},
}

func nodeRows(nodes []cluster.Node, now time.Time) [][]any {
	rows := make([][]any, 0, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		runtime, revision, age, canary, message := "<unknown>", "<none>", "<none>", "no", "<none>"
		if n.Runtime != "" {
			runtime = n.Runtime
		}
		if n.Revision != 0 {
			revision = strconv.FormatInt(n.Revision, 10)
		}
		if n.AppliedAt != nil {
			age = duration.HumanDuration(now.Sub(n.AppliedAt.Time))
		}
		if n.Canary {
			canary = "yes"
		}
		if n.Message != "" {
			message = n.Message
		}
		rows = append(rows, []any{n.Name, runtime, revision, string(n.Standing), age, canary, faultsOf(n), message})
	}
	return rows
}

// faultsOf names a mirror that the node's Pods cannot pull from, and counts the others.
func faultsOf(n *cluster.Node) string {
	switch more := len(n.MirrorFaults) - 1; {
	case !n.SeesPulls:
		return "<unknown>"
	case more < 0:
		return "<none>"
	case more > 0:
		return fmt.Sprintf("%s: %s, and %d more", n.MirrorFaults[0].Mirror, n.MirrorFaults[0].State, more)
	}
	return fmt.Sprintf("%s: %s", n.MirrorFaults[0].Mirror, n.MirrorFaults[0].State)
}
