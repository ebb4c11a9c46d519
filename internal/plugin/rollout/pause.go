// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
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
		Short: "Stop the manager from publishing changes, until resume",
		Long: `Stop the manager from publishing changes, to all nodes and to canaries, until resume. Nodes keep the rules
that they have, and canaries keep what they try. The status of the sets that wait shows who paused, when
and why.

You need the rights of the ClusterRole mirrorset-rollout-editor in Mirrorset's namespace.`,
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
	cmd.Flags().StringVar(reason, "reason", "", "the reason, shown to everyone who looks at the sets")
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
