// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin is the program kubectl-mirrors, put together of its verbs. Each verb is a room below this one.
package plugin

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/plugin/check"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/convert"
	"github.com/mirrorset/mirrorset/internal/plugin/diff"
	"github.com/mirrorset/mirrorset/internal/plugin/doctor"
	"github.com/mirrorset/mirrorset/internal/plugin/explain"
	"github.com/mirrorset/mirrorset/internal/plugin/findings"
	"github.com/mirrorset/mirrorset/internal/plugin/nodes"
	"github.com/mirrorset/mirrorset/internal/plugin/pulls"
	"github.com/mirrorset/mirrorset/internal/plugin/render"
	"github.com/mirrorset/mirrorset/internal/plugin/rollout"
	"github.com/mirrorset/mirrorset/internal/plugin/uninstall"
	"github.com/mirrorset/mirrorset/internal/plugin/why"
	"github.com/mirrorset/mirrorset/internal/version"
)

// NewCommand returns the command with all its verbs. Errors are returned by its Execute and not printed.
func NewCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kubectl-mirrors",
		Short: "Show what ImageDigestMirrorSets and ImageTagMirrorSets mean for image pulls",
		Long: `Show what ImageDigestMirrorSets and ImageTagMirrorSets mean for image pulls. The verbs show the
places that an image is pulled from by digest or by tag, the files that nodes read, and the nodes where
the rules are in force.

Verbs that read manifests with -f need no cluster. The other verbs connect to a cluster as kubectl does.

The exit code is 0, or 1 after an error. Where a verb has other exit codes, its help lists them.`,
		Version:       version.String(),
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl mirrors"},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.AddCommand(render.Command(), explain.Command(), diff.Command(), convert.Command(),
		nodes.Command(), rollout.Command(), pulls.Command(), why.Command(), doctor.Command(), check.Command(), findings.Command(), uninstall.Command(), versionCommand())
	command.SetUp(cmd)
	return cmd
}

// versionCommand prints what --version does.
func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version of this program",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "kubectl mirrors version %s\n", version.String())
			return err
		},
	}
}

// Main runs the program and returns its exit code.
func Main() int {
	return command.Run(NewCommand())
}
