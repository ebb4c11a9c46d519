// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diff is the verb that tells how images would be pulled otherwise once manifests are applied.
package diff

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/pulls"
)

// changed is the verdict of diff where applying would change something; kubectl diff has the same.
const changed command.Verdict = 1

// options are those of one run.
type options struct {
	files   manifests.Flags
	cluster cluster.Flags
	format  output.Format
	from    []string
	prune   bool
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "diff -f FILE|DIR|- [--from FILE|DIR|-] [--prune]",
		Short: "Print how images would be pulled otherwise once manifests are applied",
		Long: "Print how images would be pulled otherwise once manifests are applied: which sources have other places to pull from, " +
			"by digest or by tag, and which findings appear or go. The sets of the manifests replace those of the same names in the cluster, where " +
			"the others stay as they are, unless --prune says that they go. With --from, the manifests are all that there is afterwards: " +
			"a set that they have no more is deleted, which is a change too.\n\n" +
			"The exit code is 0 without changes, 1 with changes, and 2 after an error.",
		Example: "  kubectl mirrors diff -f sets/\n" +
			"  kubectl mirrors diff -f sets/ --prune\n" +
			"  git show main:sets.yaml | kubectl mirrors diff --from - -f sets.yaml",
		Args:              cobra.NoArgs,
		Annotations:       map[string]string{command.ErrorCode: "2"},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.files.AddFilename(cmd)
	o.cluster.Add(cmd)
	o.format.AddFlag(cmd, "table", "json", "yaml")
	cmd.Flags().StringArrayVar(&o.from, "from", nil, "file or directory with the manifests to compare with, or - for standard input, instead of the sets of the cluster; may be repeated")
	cmd.Flags().BoolVar(&o.prune, "prune", false, "take the manifests for all sets that there are to be, and the others in the cluster for deleted")
	command.CompleteManifests(cmd, "from")
	return cmd
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	if err := o.format.Check(); err != nil {
		return err
	}
	if slices.Contains(o.from, "-") && slices.Contains(o.files.Filenames, "-") {
		return errors.New("--from and -f cannot both be standard input")
	}
	if o.prune && len(o.from) > 0 {
		return errors.New("--prune is about the sets of a cluster; with --from, what the manifests have no more is deleted anyway")
	}
	wanted, err := o.files.Read(cmd)
	if err != nil {
		return err
	}
	current, err := o.current(cmd)
	if err != nil {
		return err
	}
	goes := o.deleted(current, wanted)
	before, after := kinds.Merge(current, nil), kinds.Merge(kinds.Applied(remaining(current, goes), wanted), nil)
	if before.TooLarge || after.TooLarge {
		return mirrors.ErrTooLarge
	}
	found := pulls.CompareResults(before, after)
	found.Delete(refsOf(goes))
	if err := found.Print(cmd.OutOrStdout(), o.format.Name); err != nil {
		return err
	}
	if found.IsEmpty() {
		return nil
	}
	return changed
}

// current returns the sets to compare with.
func (o *options) current(cmd *cobra.Command) ([]kinds.Set, error) {
	if len(o.from) > 0 {
		files := manifests.Flags{Filenames: o.from, Recursive: o.files.Recursive}
		return files.ReadBefore(cmd)
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return nil, err
	}
	sets, err := c.Sets(cmd.Context())
	if err != nil {
		return nil, fmt.Errorf("without --from, the sets to compare with are those of a cluster: %w", err)
	}
	c.WarnOfLacks(cmd.ErrOrStderr())
	c.WarnOfHold(cmd.Context(), sets, cmd.ErrOrStderr())
	return sets, nil
}

// deleted returns the sets that go. One that the manifests have, but that the API server refuses, stays as it is.
func (o *options) deleted(current, wanted []kinds.Set) []kinds.Set {
	if len(o.from) == 0 && !o.prune {
		return nil
	}
	refused := o.files.Refused()
	return slices.DeleteFunc(slices.Clone(current), func(c kinds.Set) bool {
		return kinds.Find(wanted, c.Ref()) != nil || slices.Contains(refused, c.Ref())
	})
}

// remaining returns the sets that stay once some have gone.
func remaining(current, gone []kinds.Set) []kinds.Set {
	return slices.DeleteFunc(slices.Clone(current), func(c kinds.Set) bool { return kinds.Find(gone, c.Ref()) != nil })
}

func refsOf(sets []kinds.Set) []mirrors.Object {
	refs := make([]mirrors.Object, len(sets))
	for i := range sets {
		refs[i] = sets[i].Ref()
	}
	return refs
}
