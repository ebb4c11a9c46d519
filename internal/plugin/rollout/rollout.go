// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout has the verbs that follow, pause, resume and undo a change of the sets on its way to the nodes, in the manner of
// kubectl rollout. The rules are section 4b of docs/reference/semantics.md.
package rollout

import (
	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// object is what the verbs act on, as kubectl names it.
const object = "configmap/" + payload.ConfigMapName

// Command returns the verb, which has verbs of its own.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "Follow, pause, resume and undo changes on their way to the nodes",
		Long: `Follow changes of the sets on their way to the nodes, pause and resume them, list the revisions that all
nodes were given, and go back to an earlier one.`,
		Example: "  kubectl apply -f sets/ && kubectl mirrors rollout status --timeout=10m\n" +
			"  kubectl mirrors rollout undo --dry-run=client",
		Args:                  cobra.NoArgs,
		ValidArgsFunction:     cobra.NoFileCompletions,
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(historyCommand(), pauseCommand(), resumeCommand(), statusCommand(), undoCommand())
	return cmd
}
