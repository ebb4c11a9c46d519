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
func (o *options) follow(cmd *cobra.Command, c *cluster.Cluster, names []string) error {
	stderr := cmd.ErrOrStderr()
	p := progress{table: o.listing.NewTable(cmd.OutOrStdout(), nodeColumns...), stderr: stderr, live: output.NewLiveLine(stderr), shown: make(map[string]cluster.Node)}
	err := c.Watch(cmd.Context(), o.timeout, stderr, func(s cluster.State) (bool, error) {
		f := s.Fleet()
		if err := only(&f, names); err != nil {
			return false, err
		}
		return p.update(f, s.Hold())
	})
	p.end()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("after %s, not all nodes have the sets in force as they are now", o.timeout)
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
	said   string // what it waits for
}

// update returns true once all is in force, and nothing holds back what the sets say.
func (p *progress) update(f cluster.Fleet, hold *cluster.Hold) (bool, error) {
	var changed []cluster.Node
	for _, n := range f.Nodes {
		if before, ok := p.shown[n.Name]; !ok || before.Standing != n.Standing || before.Revision != n.Revision || before.Message != n.Message {
			changed = append(changed, n)
			p.shown[n.Name] = n
		}
	}
	p.last = f.String()
	if hold != nil {
		p.last = "Waiting: " + hold.Why + ". " + p.last
	}
	p.sayHold(hold)
	if len(changed) > 0 {
		p.live.Clear()
		if err := p.table.Print(nodeRows(changed, time.Now())...); err != nil {
			return false, err
		}
	}
	p.live.Show(p.last)
	return f.Done() && hold == nil, nil
}

// sayHold says what is waited for where no line can be written again, and what waits for a person everywhere.
func (p *progress) sayHold(hold *cluster.Hold) {
	said := ""
	switch {
	case hold == nil:
	case !hold.Waits():
		said = fmt.Sprintf("Waiting: %s. %s", hold.Why, hold.Remedy)
	case p.live.Columns == nil:
		said = fmt.Sprintf("Waiting: %s. If this lasts, run kubectl mirrors doctor to see what to do.", hold.Why)
	}
	if said != p.said && said != "" {
		p.live.Clear()
		fmt.Fprintln(p.stderr, said)
	}
	p.said = said
}

// end leaves the last word in a line of its own.
func (p *progress) end() {
	p.live.Clear()
	if p.last != "" {
		fmt.Fprintln(p.stderr, p.last)
	}
}
