// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package command is what the verbs of kubectl mirrors need for a command line in addition to cobra. It has completions for flags, flags
// that only count together with others, and exit codes that are answers.
package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

// CompleteWith has the shell offer these values of a flag, and no files.
func CompleteWith(cmd *cobra.Command, flag string, values ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// CompleteManifests has the shell offer the files that a flag can name.
func CompleteManifests(cmd *cobra.Command, flag string) {
	must(cmd.MarkFlagFilename(flag, "yaml", "yml", "json"))
}

// CompleteFolders has the shell offer folders for a flag.
func CompleteFolders(cmd *cobra.Command, flag string) {
	must(cmd.MarkFlagDirname(flag))
}

func must(err error) {
	if err != nil {
		panic(err) // the verb has added the flag just before
	}
}

// OnlyWith returns an error if one of the flags is set, because they only count together with another flag, which is not set.
func OnlyWith(cmd *cobra.Command, other string, flags ...string) error {
	for _, name := range flags {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s is for %s only", name, other)
		}
	}
	return nil
}
