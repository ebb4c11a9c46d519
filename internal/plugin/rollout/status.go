// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// settled is how long what only the statuses of sets tell has to stay before it counts: they may be from before the latest change.
const settled = 5 * time.Second

// statusOptions are those of one run.
type statusOptions struct {
	cluster cluster.Flags
	format  output.Format
	watch   bool
	timeout time.Duration
}

func statusCommand() *cobra.Command {
	o := &statusOptions{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Wait until all nodes have the sets in force as they are now, and show progress",
		Long: `Wait until all nodes have the sets in force as they are now, with every change and every deletion, and
print each stage. With --watch=false, or with -o, status prints the present state and ends.

Exit codes:
- 0: all nodes have the sets in force; with --watch=false or -o, also while the rollout is on its way
- 1: waiting does not help, because a canary failed, no node is a canary, or somebody paused or undid the
  rollout (the message shows who, why, and the remedy); or the timeout, or an error`,
		Example: "  kubectl apply -f sets/ && kubectl mirrors rollout status --timeout=10m\n" +
			"  kubectl mirrors rollout status --watch=false",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.cluster.Add(cmd)
	o.format.AddFlag(cmd, "text", "json", "yaml")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", true, "wait until the rollout ends, and print each stage")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "how long to wait before giving up with exit code 1; 0 means no limit")
	command.CompleteWith(cmd, "timeout")
	return cmd
}

func (o *statusOptions) run(cmd *cobra.Command, _ []string) error {
	if err := o.format.Check(); err != nil {
		return err
	}
	if o.format.Name != "text" {
		if o.watch && cmd.Flags().Changed("watch") {
			return fmt.Errorf("--output %q: --watch prints text only", o.format.Name)
		}
		o.watch = false
	}
	if !o.watch {
		if err := command.OnlyWith(cmd, "--watch", "timeout"); err != nil {
			return err
		}
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	if o.watch {
		return o.follow(cmd, c)
	}
	s, err := c.State(cmd.Context())
	if err != nil {
		return err
	}
	c.WarnOfLacks(cmd.ErrOrStderr())
	r := assess(s)
	if o.format.Name != "text" {
		if err := output.Value(cmd.OutOrStdout(), o.format.Name, r); err != nil {
			return err
		}
		if r.Remedy != "" {
			return command.Verdict(1)
		}
		return nil
	}
	fmt.Fprintln(cmd.OutOrStdout(), r.Message)
	return r.err()
}

// follow prints each stage until the end.
func (o *statusOptions) follow(cmd *cobra.Command, c *cluster.Cluster) error {
	f := follower{out: cmd.OutOrStdout()}
	err := c.Watch(cmd.Context(), o.timeout, cmd.ErrOrStderr(), func(s cluster.State) (bool, error) { return f.see(assess(s), time.Now()) })
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("after %s, not all nodes have the sets in force as they are now", o.timeout)
	}
	return err
}

// follower prints what differs from what was printed last.
type follower struct {
	out  io.Writer
	said string
	// doubts is the hold that may be from before the latest change, and since when it has been seen.
	doubts string
	since  time.Time
}

// see returns true, or an error, at the end.
func (f *follower) see(r report, now time.Time) (done bool, err error) {
	if r.doubtful && f.doubts != r.Message {
		f.doubts, f.since = r.Message, now
	}
	if !r.doubtful {
		f.doubts = ""
	}
	if r.doubtful && now.Sub(f.since) < settled {
		return false, nil
	}
	if r.Message != f.said {
		f.said = r.Message
		fmt.Fprintln(f.out, r.Message)
	}
	if r.moving {
		return false, nil
	}
	return r.Done, r.err()
}
