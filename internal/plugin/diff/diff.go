// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diff is the verb that shows how image pulls would change if manifests were applied.
package diff

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/changes"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// changed is the verdict of diff where applying would change something; kubectl diff has the same.
const changed command.Verdict = 1

// options are those of one run.
type options struct {
	files     manifests.Flags
	cluster   cluster.Flags
	format    output.Format
	from      []string
	prune     bool
	revisions []int64
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "diff -f FILE|DIR|- [--from FILE|DIR|-] [--prune] | --revision A [--revision B]",
		Short: "Show how image pulls would change if these manifests were applied",
		Long: `Show how image pulls would change if these manifests were applied: the sources that get other places to
pull from, by digest or by tag, and the findings that appear or go. The sets of the manifests replace
those of the same names in the cluster. The cluster's other sets stay as they are; with --prune they
count as deleted. With --from, files take the place of the cluster, and a set that is missing in the
manifests of -f counts as deleted. A deleted set is a change too.

With --revision, diff compares two revisions of the history, or one with the revision that all nodes
should have now. It shows no findings then, because a revision does not record them.

Exit codes:
- 0: no changes
- 1: changes
- 2: an error`,
		Example: "  kubectl mirrors diff -f sets/\n" +
			"  kubectl mirrors diff -f sets/ --prune\n" +
			"  git show main:sets.yaml | kubectl mirrors diff --from - -f sets.yaml\n" +
			"  kubectl mirrors diff --revision 1795573430000 --revision 1795573438818",
		Args:              cobra.NoArgs,
		Annotations:       map[string]string{command.ErrorCode: "2"},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.files.AddFilename(cmd)
	o.cluster.Add(cmd)
	o.format.AddFlag(cmd, "table", "json", "yaml")
	cmd.Flags().StringArrayVar(&o.from, "from", nil, "file or directory with the manifests to compare with instead of the cluster's sets, or - for standard input; may be repeated")
	cmd.Flags().BoolVar(&o.prune, "prune", false, "treat the cluster's sets that are not in the manifests as deleted")
	command.CompleteManifests(cmd, "from")
	cmd.Flags().Int64SliceVar(&o.revisions, "revision", nil, "revision to compare, from kubectl mirrors rollout history; give it twice to compare two revisions, the earlier side first")
	o.cluster.CompleteRevisions(cmd, "revision")
	return cmd
}

func (o *options) run(cmd *cobra.Command, _ []string) error {
	if err := o.format.Check(); err != nil {
		return err
	}
	if len(o.revisions) > 0 {
		return o.compareRevisions(cmd)
	}
	if slices.Contains(o.from, "-") && slices.Contains(o.files.Filenames, "-") {
		return errors.New("--from and -f cannot both be standard input")
	}
	if o.prune && len(o.from) > 0 {
		return errors.New("--prune applies to the sets of a cluster; with --from, sets that are missing in the manifests count as deleted anyway")
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
	found := changes.CompareResults(before, after)
	found.Delete(refsOf(goes))
	return o.print(cmd, &found)
}

// print prints what differs, and returns the verdict.
func (o *options) print(cmd *cobra.Command, found *changes.Difference) error {
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
		return nil, fmt.Errorf("the sets to compare with could not be read from the cluster; to compare with files, use --from: %w", err)
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
