// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explain is the verb that shows where an image is pulled from, and which sets decide that.
package explain

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/certsd"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/shadow"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/images"
	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/runtimes"
)

// options are those of one run.
type options struct {
	files            manifests.Flags
	cluster          cluster.Flags
	format           output.Format
	runtime          string
	allowDefaultHost bool
}

// Command returns the verb.
func Command() *cobra.Command {
	o := &options{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "explain IMAGE [-f FILE|DIR|-]",
		Short: "Show where an image is pulled from, in order, and which sets decide that",
		Long: `Show where an image is pulled from, in order, and the entries of sets that decide that. For an image by
digest these are entries of ImageDigestMirrorSets; for an image by tag, entries of ImageTagMirrorSets,
printed as itms/NAME. Nodes pull what a mirror serves for a tag without verification, so the mirror is
trusted with it.

Without -f, explain reads the sets from the cluster. For each set that has a part in the answer it then
prints the number of nodes that have the set in force. You need the rights to list
imagedigestmirrorsets and imagetagmirrorsets, and mirrornodes for that number.

Exit codes:
- 0: an answer, even if the pull is refused
- 1: an error`,
		Example: "  kubectl mirrors explain quay.io/prometheus/prometheus:v3.7.0 -f config/samples/\n" +
			"  kubectl mirrors explain alpine:3.22 --runtime containerd",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name exactly one image; there are %d arguments", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.files.AddFilename(cmd)
	o.files.AddInsecure(cmd)
	o.cluster.Add(cmd)
	o.format.AddFlag(cmd, "table", "wide", "json", "yaml", "name")
	cmd.Flags().StringVar(&o.runtime, "runtime", "", "show what one runtime does, with its deviations: crio (Podman too) or containerd; by default the answer is what the sets mean, with a warning where CRI-O differs")
	command.CompleteWith(cmd, "runtime", runtimes.CRIO, runtimes.Containerd)
	runtimes.AddDefaultHostFlag(cmd, &o.allowDefaultHost)
	return cmd
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	if err := o.format.Check(); err != nil {
		return err
	}
	if !slices.Contains([]string{"", runtimes.CRIO, runtimes.Containerd}, o.runtime) {
		return fmt.Errorf("--runtime %q: the value must be %s or %s; or leave out the flag", o.runtime, runtimes.CRIO, runtimes.Containerd)
	}
	ref, err := images.Parse(args[0])
	if err != nil {
		return err
	}
	sets, from, err := o.cluster.Sets(cmd, &o.files)
	if err != nil {
		return err
	}
	result, err := o.files.Merge(sets)
	if err != nil {
		return err
	}
	node := certsd.Node{Redirector: runtimes.RedirectorAddress(runtimes.DefaultRedirectorPort), AllowDefaultHost: o.allowDefaultHost, Watched: shadow.Sources(&result)}
	answerer := runtimes.New(result.Rules, o.runtime, node)
	found := answerer.Answer(ref)
	stderr := cmd.ErrOrStderr()
	touched := output.Touching(result.Findings, output.Pull{Image: ref, Resolution: found.Resolution})
	output.Warn(stderr, touched)
	switch {
	case found.Pending != nil:
		fmt.Fprintf(stderr, "warning: NotInForce: image %s: containerd does not follow the rules of %q: %s\n", ref, found.Pending.Host, found.Pending.Reason)
	case o.runtime == "":
		warnOfReaders(stderr, ref, found.Resolution, mirrors.NewIndex(result.Rules).ResolveByReaders(ref))
	}

	x := newExplanation(args[0], ref, found, touched)
	x.Runtime, x.OtherMode = o.runtime, otherModeOf(ref, answerer.Answer)
	if len(result.Watched) > 0 {
		enforced := kinds.Merge(kinds.Enforced(sets), result.Insecure).Rules
		then := runtimes.New(enforced, o.runtime, node).Answer(ref)
		switch {
		case then.Pending == nil:
			x.Shadow = shadowOf(ref, found, then, enforced)
		case found.Pending == nil:
			fmt.Fprintf(stderr, "warning: NotInForce: image %s: if NeverContactSource were enforced, containerd would not follow the rules of %q: %s\n", ref, then.Pending.Host, then.Pending.Reason)
		}
	}
	if from != nil && found.Rule != nil {
		x.InForce = countFrom(cmd.Context(), from, stderr, found.Rule, sets)
	}
	return x.print(cmd.OutOrStdout(), o.format.Name)
}

// countFrom counts on the nodes. A user with the right to read sets may not have the right to read nodes,
// and gets the rest of the answer.
func countFrom(ctx context.Context, from *cluster.Cluster, stderr io.Writer, rule *mirrors.Rule, sets []kinds.Set) []reach {
	nodes, err := from.Nodes(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "warning: the number of nodes that have this in force is unknown: %v\n", err)
		return nil
	}
	return countInForce(rule, sets, nodes)
}

// warnOfReaders says what CRI-O and Podman do otherwise, by their quirks.
func warnOfReaders(stderr io.Writer, ref mirrors.Reference, res, readers mirrors.Resolution) {
	if !res.Differs(readers) {
		return
	}
	var from []mirrors.Entry
	for _, r := range []mirrors.Resolution{res, readers} {
		if r.Rule != nil {
			from = append(from, r.Rule.Entries()...)
		}
	}
	by := "no source"
	if readers.Rule != nil {
		by = fmt.Sprintf("source %q", readers.Rule.Source)
	}
	fmt.Fprintf(stderr, "warning: RuntimesDiffer: %s: image %s: CRI-O and Podman use %s and %s\n", mirrors.Names(from), ref, by, outcome(readers))
}

func outcome(res mirrors.Resolution) string {
	switch {
	case res.Fails != "":
		return "fail to pull it, because " + res.Fails
	case len(res.PullSources) == 0:
		return "refuse it"
	}
	return "pull it from " + locations(res.PullSources)
}

func locations(sources []mirrors.PullSource) string {
	all := make([]string, len(sources))
	for i, s := range sources {
		all[i] = s.Location
	}
	return strings.Join(all, ", then ")
}
