// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// findsCluster annotates flags that every kubectl command has.
const findsCluster = "mirrorset.io/finds-cluster"

// FindsCluster marks the flags of kubectl that find a cluster, so that help has them apart from the verb's own.
func FindsCluster(flags *pflag.FlagSet, own ...string) {
	flags.VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(own, f.Name) {
			f.Annotations = map[string][]string{findsCluster: nil}
		}
	})
}

// IsOfKubectl reports if a flag is one of kubectl, which finds a cluster.
func IsOfKubectl(f *pflag.Flag) bool {
	_, found := f.Annotations[findsCluster]
	return found
}

// SetUp gives a program help that has each verb's own flags first, and makes it an error to ask for a verb or a shell that there is not.
func SetUp(root *cobra.Command) {
	root.SetUsageFunc(func(cmd *cobra.Command) error { return usage(cmd.OutOrStderr(), cmd) })
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [VERB]",
		Short: "Print what a verb does and which flags it has",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (verbs []cobra.Completion, _ cobra.ShellCompDirective) {
			for _, verb := range cmd.Root().Commands() {
				if verb.IsAvailableCommand() && len(args) == 0 {
					verbs = append(verbs, cobra.CompletionWithDesc(verb.Name(), verb.Short))
				}
			}
			return verbs, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			verb, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("unknown command %q for %q", rest[0], verb.CommandPath())
			}
			if err != nil {
				return err
			}
			verb.InitDefaultHelpFlag()
			return verb.Help()
		},
	})
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			refuseOtherShells(cmd)
		}
	}
}

func refuseOtherShells(completion *cobra.Command) {
	var shells []string
	for _, cmd := range completion.Commands() {
		shells = append(shells, cmd.Name())
	}
	completion.Args = cobra.ArbitraryArgs
	completion.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("name a shell: %s", strings.Join(shells, ", "))
		}
		return fmt.Errorf("there is no completion for %q; want one of %s", args[0], strings.Join(shells, ", "))
	}
}

// usage prints how a command is called.
func usage(out io.Writer, cmd *cobra.Command) error {
	var text strings.Builder
	text.WriteString("Usage:\n")
	if cmd.Runnable() {
		fmt.Fprintf(&text, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&text, "  %s [command]\n", cmd.CommandPath())
	}
	if cmd.HasExample() {
		fmt.Fprintf(&text, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		text.WriteString("\nAvailable Commands:\n")
		for _, verb := range cmd.Commands() {
			if verb.IsAvailableCommand() || verb.Name() == "help" {
				fmt.Fprintf(&text, "  %-*s %s\n", verb.NamePadding(), verb.Name(), verb.Short)
			}
		}
	}
	own, kubectl := pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if IsOfKubectl(f) {
			kubectl.AddFlag(f)
		} else {
			own.AddFlag(f)
		}
	})
	for _, group := range []struct {
		title string
		flags *pflag.FlagSet
	}{{"Flags", own}, {"Flags of kubectl, to find the cluster", kubectl}} {
		if group.flags.HasAvailableFlags() {
			fmt.Fprintf(&text, "\n%s:\n%s", group.title, group.flags.FlagUsages())
		}
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&text, "\nUse \"%s [command] --help\" for more information about a command.\n", cmd.CommandPath())
	}
	_, err := io.WriteString(out, text.String())
	return err
}
