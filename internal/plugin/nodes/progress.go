// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// follow prints what changes until all nodes are there.
func (o *options) follow(cmd *cobra.Command, w watcher, names []string) error {
	ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	if err := w.canBeWatched(ctx); err != nil {
		if o.timeout > 0 && ctx.Err() != nil {
			return fmt.Errorf("the API server has not answered after %s", o.timeout)
		}
		return err // what a mistake in the flags, or a missing right, leads to is no reason to try again
	}
	w.WarnOfLacks(stderr)
	p := progress{table: o.listing.NewTable(cmd.OutOrStdout(), nodeColumns...), stderr: stderr, live: output.NewLiveLine(stderr), shown: make(map[string]cluster.Node)}
	show := func(s state) (bool, error) {
		f := cluster.Survey(s.nodes, s.published)
		if err := only(&f, names); err != nil {
			return false, err
		}
		return p.update(f, s.pending())
	}
	err := w.watch(ctx, func(s state) (bool, error) {
		if done, err := show(s); !done || err != nil {
			return false, err
		}
		// The kinds of objects are watched each for itself, and after a break the sets may be back long before the nodes.
		now, err := w.state(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // the cluster is away, and is waited for
		}
		return show(now)
	})
	p.end()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not all nodes have in force what the sets say after %s", o.timeout)
	}
	return err
}

// progress prints what differs from what was printed last.
type progress struct {
	table  *output.Table
	stderr io.Writer
	live   *output.LiveLine // tells how far it is
	shown  map[string]cluster.Node
	last   string
	said   string // what it waits for, where no line can be written again
}

// update returns true once all is in force.
func (p *progress) update(f cluster.Fleet, pending string) (bool, error) {
	var changed []cluster.Node
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
			fmt.Fprintf(p.stderr, "Waiting: %s. If that stays so, kubectl mirrors doctor says what to do.\n", pending)
		}
	}
	if len(changed) > 0 {
		p.live.Clear()
		if err := p.table.Print(nodeRows(changed, time.Now())...); err != nil {
			return false, err
		}
	}
	p.live.Show(p.last)
	return f.Done() && pending == "", nil
}

// end leaves the last word in a line of its own.
func (p *progress) end() {
	p.live.Clear()
	if p.last != "" {
		fmt.Fprintln(p.stderr, p.last)
	}
}
