// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

func pauseCommand() *cobra.Command {
	flags, reason := cluster.NewFlags(), ""
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Have the manager publish no change until resume",
		Long: "Have the manager publish no change, neither to all nodes nor to canaries, until resume. Nodes keep what they have, and " +
			"what canaries try stays with them. The sets that wait say who paused, when and why.",
		Example:           "  kubectl mirrors rollout pause --reason='no changes before Monday'",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.Connect()
			if err != nil {
				return err
			}
			return pause(cmd.Context(), c, reason, cmd.OutOrStdout())
		},
	}
	flags.Add(cmd)
	addReason(cmd, &reason)
	return cmd
}

func addReason(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "why, for all who look at the sets")
	command.CompleteWith(cmd, "reason")
}

func pause(ctx context.Context, c *cluster.Cluster, reason string, out io.Writer) error {
	order, err := newOrder(ctx, c, reason)
	if err != nil {
		return err
	}
	var before payload.Rollout
	err = steer(ctx, c, nil, func(cm *corev1.ConfigMap) (map[string]any, error) {
		before = payload.ReadRollout(cm.Annotations)
		if before.Paused != nil {
			return nil, fmt.Errorf("%s is already %s", object, cluster.SayPause(before.Paused))
		}
		text := payload.Rollout{Paused: &order}.Annotations()[payload.PausedAnnotation]
		return map[string]any{payload.PausedAnnotation: text}, nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s paused\n", object)
	if before.Undone != nil {
		fmt.Fprintf(out, "It stays %s.\n", cluster.SayUndo(before.Undone))
	}
	return nil
}

func resumeCommand() *cobra.Command {
	flags := cluster.NewFlags()
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Have the manager publish what the sets say again",
		Long: "Have the manager publish what the sets say again, after a pause, after an undo, or after a canary failed. What failed there is " +
			"tried again, unless the sets say something else now.",
		Example:           "  kubectl mirrors rollout resume && kubectl mirrors rollout status",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.Connect()
			if err != nil {
				return err
			}
			return resume(cmd.Context(), c, cmd.OutOrStdout())
		},
	}
	flags.Add(cmd)
	return cmd
}

func resume(ctx context.Context, c *cluster.Cluster, out io.Writer) error {
	var before *corev1.ConfigMap
	err := steer(ctx, c, nil, func(cm *corev1.ConfigMap) (map[string]any, error) {
		before = cm
		goes := make(map[string]any)
		for _, key := range []string{payload.PausedAnnotation, payload.UndoneAnnotation, payload.HaltedAnnotation} {
			if _, there := cm.Annotations[key]; there {
				goes[key] = nil
			}
		}
		if len(goes) == 0 {
			return nil, errors.New(object + " is not paused, undone or halted, so there is nothing to resume")
		}
		return goes, nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s resumed\n", object)
	was := payload.ReadRollout(before.Annotations)
	if was.Paused != nil {
		fmt.Fprintf(out, "It was %s.\n", cluster.SayPause(was.Paused))
	}
	if was.Undone != nil {
		fmt.Fprintf(out, "It was %s.\n", cluster.SayUndo(was.Undone))
	}
	if was.Halted != nil {
		fmt.Fprintf(out, "It was halted: %s. The same is tried again now, unless the sets were mended.\n", cluster.SayHalt(was.Halted))
	}
	fmt.Fprintln(out, next(ctx, c, before))
	return nil
}

// next says what the manager does once nobody's order stands in its way. Where the sets cannot be read, it says what it would do.
func next(ctx context.Context, c *cluster.Cluster, before *corev1.ConfigMap) string {
	const publishes = "Next, the manager publishes what the sets say, to canaries first where it was told of some"
	p, err := cluster.ReadPublication(before)
	if err != nil {
		return publishes + "."
	}
	follow := ". To follow it: " + p.RolloutCommand("status")
	p.Rollout = payload.Rollout{}
	sets, err := c.Sets(ctx)
	switch {
	case p.Canary != nil:
		return fmt.Sprintf("Next, canaries go on with revision %d, and their soak time begins anew%s", p.Canary.Revision, follow)
	case err == nil && p.Hold(sets) == nil:
		return "All nodes are to have what the sets say already, so nothing else is published."
	}
	return publishes + follow
}
