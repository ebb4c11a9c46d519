// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package doctor is the verb that finds problems in a cluster or on a machine, and prints how to fix them.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// options are those of one run.
type options struct {
	cluster cluster.Flags
	format  output.Format
	local   bool
	here    machine
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "doctor [NODE]",
		Short: "Find problems with Mirrorset in a cluster or on a node, and how to fix them",
		Long: `Find problems with Mirrorset, and print how to fix them: in the whole cluster, on one node from the reports
of its agent, or with --local on this machine from its own files. --local needs no cluster; run it as
root.

Exit codes:
- 0: no problem, perhaps warnings
- 1: a problem, or something that could not be checked
- 2: an error, such as a cluster that does not answer`,
		Example: "  kubectl mirrors doctor\n" +
			"  kubectl mirrors doctor node-1\n" +
			"  kubectl-mirrors doctor --local",
		Args:        cobra.MaximumNArgs(1),
		Annotations: map[string]string{command.ErrorCode: "2"},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 || o.local {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return o.cluster.CompleteNodes(cmd, args, start)
		},
		RunE: o.run,
	}
	o.cluster.Add(cmd)
	o.format.AddFlag(cmd, "text", "json", "yaml")
	cmd.Flags().BoolVar(&o.local, "local", false, "check the runtimes of this machine; needs no cluster")
	o.here.addFlags(cmd)
	return cmd
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	if !o.local {
		if err := command.OnlyWith(cmd, "--local", o.here.flags()...); err != nil {
			return err
		}
	}
	if err := o.format.Check(); err != nil {
		return err
	}
	found, err := o.look(cmd.Context(), args)
	if err != nil {
		return err
	}
	slices.SortStableFunc(found, func(a, b diagnosis) int { return cmp.Compare(a.Health, b.Health) })
	if o.format.Name != "text" {
		err = output.Value(cmd.OutOrStdout(), o.format.Name, map[string]any{"problems": found.count(wrong), "warnings": found.count(odd), "checks": found})
	} else {
		err = found.print(cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	if err == nil && found.count(wrong) > 0 {
		return command.Verdict(1)
	}
	return err
}

// look has what is to be looked at diagnosed.
func (o *options) look(ctx context.Context, args []string) (diagnoses, error) {
	switch {
	case o.local && len(args) > 0:
		return nil, fmt.Errorf("--local checks this machine, so it takes no node; leave out --local or %q", args[0])
	case o.local:
		if err := o.here.check(); err != nil {
			return nil, err
		}
		return o.here.diagnose(), nil
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return nil, err
	}
	return diagnose(ctx, c, args)
}
