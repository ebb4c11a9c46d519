// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// nodesVerb prints where nodes are.
type nodesVerb struct {
	output.Listing
	flags   clusterFlags
	names   []string // of the nodes to print; all where there are none
	watch   bool
	timeout time.Duration

	out, stderr io.Writer
}

func newNodesCommand() *cobra.Command {
	v := &nodesVerb{flags: newClusterFlags()}
	cmd := &cobra.Command{
		Use:   "nodes [NODE...]",
		Short: "List which rules the nodes have in force, those with trouble first",
		Long: "List which rules the nodes have in force, those with trouble first. With --watch, go on with what changes, and end " +
			"once all have the sets in force as they are now, with every change and every deletion.",
		Example: "  kubectl mirrors nodes -o wide\n" +
			"  kubectl apply -f sets/ && kubectl mirrors nodes --watch --timeout=2m",
		ValidArgsFunction: v.flags.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.names, v.out, v.stderr = args, cmd.OutOrStdout(), cmd.ErrOrStderr()
			if err := v.Check(); err != nil {
				return err
			}
			if !v.watch {
				if err := command.OnlyWith(cmd, "--watch", "timeout"); err != nil {
					return err
				}
			}
			if v.watch && !v.IsTable() {
				return fmt.Errorf("--output %q: --watch prints tables only", v.Name)
			}
			c, err := v.flags.connect()
			if err != nil {
				return err
			}
			return v.run(cmd.Context(), c)
		},
	}
	v.flags.addFlags(cmd)
	v.AddFlags(cmd, "table", "wide", "json", "yaml", "name")
	cmd.Flags().BoolVarP(&v.watch, "watch", "w", false, "print what changes, until all nodes have in force what the sets say now")
	cmd.Flags().DurationVar(&v.timeout, "timeout", 0, "with --watch, how long to wait before giving up with exit code 1; 0 is for ever")
	command.CompleteWith(cmd, "timeout")
	return cmd
}

func (v *nodesVerb) run(ctx context.Context, c *cluster) error {
	if v.watch {
		return v.follow(ctx, c)
	}
	f, err := c.fleet(ctx)
	if err == nil {
		err = v.only(&f)
	}
	if err != nil {
		return err
	}
	switch v.Name {
	case "json", "yaml":
		return output.Value(v.out, v.Name, f)
	case "name":
		for i := range f.Nodes {
			fmt.Fprintf(v.out, "mirrornode.%s/%s\n", mirrorsetv1alpha1.GroupVersion.Group, f.Nodes[i].Name)
		}
		return nil
	}
	if err := v.NewTable(v.out, nodeColumns...).Print(nodeRows(f.Nodes, time.Now())...); err != nil {
		return err
	}
	fmt.Fprintln(v.stderr, f)
	return nil
}

// fleet asks the cluster where its nodes are.
func (c *cluster) fleet(ctx context.Context) (fleet, error) {
	nodes, err := c.nodes(ctx)
	if err != nil {
		return fleet{}, err
	}
	p, err := c.published(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return survey(nodes, nil), nil
	case err != nil:
		return fleet{}, err
	}
	return survey(nodes, &p), nil
}

// only keeps the nodes that were asked for.
func (v *nodesVerb) only(f *fleet) error {
	if len(v.names) == 0 {
		return nil
	}
	for _, name := range v.names {
		if !slices.ContainsFunc(f.Nodes, func(n fleetNode) bool { return n.Name == name }) {
			return fmt.Errorf("there is no MirrorNode %q", name)
		}
	}
	f.Nodes = slices.DeleteFunc(f.Nodes, func(n fleetNode) bool { return !slices.Contains(v.names, n.Name) })
	f.Total, f.InForce = len(f.Nodes), 0
	for i := range f.Nodes {
		if f.Nodes[i].Standing == standing.InForce {
			f.InForce++
		}
	}
	return nil
}

var nodeColumns = []metav1.TableColumnDefinition{
	{Name: "Node", Type: "string", Format: "name"},
	{Name: "Runtime", Type: "string"},
	{Name: "Revision", Type: "string"},
	{Name: "State", Type: "string"},
	{Name: "Age", Type: "string"},
	{Name: "Message", Type: "string", Priority: 1},
}

func nodeRows(nodes []fleetNode, now time.Time) [][]any {
	rows := make([][]any, 0, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		runtime, revision, age, message := "<unknown>", "<none>", "<none>", "<none>"
		if n.Runtime != "" {
			runtime = n.Runtime
		}
		if n.Revision != 0 {
			revision = strconv.FormatInt(n.Revision, 10)
		}
		if n.AppliedAt != nil {
			age = duration.HumanDuration(now.Sub(n.AppliedAt.Time))
		}
		if n.Message != "" {
			message = n.Message
		}
		rows = append(rows, []any{n.Name, runtime, revision, string(n.Standing), age, message})
	}
	return rows
}

// pending says why what is published is not known to be of these very sets; "" where it is.
func pending(sets []configv1.ImageDigestMirrorSet, p payload.Payload) string {
	switch p.Sets {
	case "":
		return "what is published does not say which sets it is of, as that of a manager older than this plugin"
	case payload.DigestOfSets(payload.StatesOf(configv1.KindImageDigestMirrorSet, sets)):
		return ""
	}
	return "the manager has yet to publish the latest change or deletion of a set"
}

// follow prints what changes until all nodes are there.
func (v *nodesVerb) follow(ctx context.Context, c *cluster) error {
	if v.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, v.timeout)
		defer cancel()
	}
	if err := c.canBeWatched(ctx); err != nil {
		if v.timeout > 0 && ctx.Err() != nil {
			return fmt.Errorf("the API server has not answered after %s", v.timeout)
		}
		return err // what a mistake in the flags, or a missing right, leads to is no reason to try again
	}
	p := progress{verb: v, table: v.NewTable(v.out, nodeColumns...), live: output.NewLiveLine(v.stderr), shown: make(map[string]fleetNode)}
	show := func(s state) (bool, error) {
		f := survey(s.nodes, s.published)
		if err := v.only(&f); err != nil {
			return false, err
		}
		return p.update(f, s.pending())
	}
	err := c.watch(ctx, func(s state) (bool, error) {
		if done, err := show(s); !done || err != nil {
			return false, err
		}
		// The three kinds of objects are watched each for itself, and after a break the sets may be back long before the nodes.
		now, err := c.state(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // the cluster is away, and is waited for
		}
		return show(now)
	})
	p.end()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not all nodes have in force what the sets say after %s", v.timeout)
	}
	return err
}

// progress prints what differs from what was printed last.
type progress struct {
	verb  *nodesVerb
	table *output.Table
	live  *output.LiveLine // tells how far it is
	shown map[string]fleetNode
	last  string
	said  string // what it waits for, where no line can be written again
}

// update returns true once all is in force.
func (p *progress) update(f fleet, pending string) (bool, error) {
	var changed []fleetNode
	for _, n := range f.Nodes {
		if before, ok := p.shown[n.Name]; !ok || before.Standing != n.Standing || before.Revision != n.Revision || before.Message != n.Message {
			changed = append(changed, n)
			p.shown[n.Name] = n
		}
	}
	p.last = f.String()
	if pending != "" {
		p.last = "Waiting: " + pending + ". " + p.last
	}
	if p.live.Columns == nil && pending != p.said {
		p.said = pending
		if pending != "" {
			fmt.Fprintf(p.verb.stderr, "Waiting: %s. If that stays so, kubectl mirrors doctor says what to do.\n", pending)
		}
	}
	if len(changed) > 0 {
		p.live.Clear()
		if err := p.table.Print(nodeRows(changed, time.Now())...); err != nil {
			return false, err
		}
	}
	p.live.Show(p.last)
	return f.done() && pending == "", nil
}

// end leaves the last word in a line of its own.
func (p *progress) end() {
	p.live.Clear()
	if p.last != "" {
		fmt.Fprintln(p.verb.stderr, p.last)
	}
}
