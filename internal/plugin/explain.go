// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/containerd"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// explainer is one run of explain.
type explainer struct {
	input
	format           output.Format
	runtime          string
	allowDefaultHost bool
}

func newExplainCommand() *cobra.Command {
	var e explainer
	cmd := &cobra.Command{
		Use:   "explain IMAGE [-f FILE|DIR|-]",
		Short: "Print where an image is pulled from, in order, and which set says so",
		Long: "Print where an image is pulled from, in order, and which entry of which set says so. Without -f the sets are those " +
			"of the cluster, and each set that has a part in the answer comes with the number of nodes where it is in force.",
		Example: "  kubectl mirrors explain quay.io/libpod/busybox@sha256:... -f config/samples/\n" +
			"  kubectl mirrors explain alpine:3.22 --runtime containerd",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("want one image to explain, got %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              e.run,
	}
	e.addFlagsOfCluster(cmd)
	e.format.AddFlag(cmd, "table", "wide", "json", "yaml", "name")
	cmd.Flags().StringVar(&e.runtime, "runtime", "", "answer for one runtime with its quirks: crio (Podman too) or containerd; left out, the answer is what the sets mean, with a warning where CRI-O differs")
	command.CompleteWith(cmd, "runtime", crio, containerdName)
	addDefaultHostFlag(cmd, &e.allowDefaultHost)
	return cmd
}

// addDefaultHostFlag adds the flag of the manager by the same name.
func addDefaultHostFlag(cmd *cobra.Command, allow *bool) {
	cmd.Flags().BoolVar(allow, "allow-default-host", false, "for containerd: as if the manager ran with --allow-default-host, which puts blocked wildcards in force")
}

func (e *explainer) run(cmd *cobra.Command, args []string) error {
	if err := e.format.Check(); err != nil {
		return err
	}
	if !slices.Contains([]string{"", crio, containerdName}, e.runtime) {
		return fmt.Errorf("--runtime %q: want %s or %s, or leave it out", e.runtime, crio, containerdName)
	}
	ref, err := mirrors.ParseReference(args[0])
	if err != nil {
		return err
	}
	sets, from, err := e.readSets(cmd)
	if err != nil {
		return err
	}
	result, err := e.mergeSets(sets)
	if err != nil {
		return err
	}
	node := containerd.Node{Redirector: redirectorAddress(defaultRedirectorPort), AllowDefaultHost: e.allowDefaultHost}
	answers := newAnswerer(result.Rules, e.runtime, node)
	found := answers.answer(ref)
	stderr := cmd.ErrOrStderr()
	touched := output.Touching(result.Findings, found.Resolution)
	output.Warn(stderr, touched)
	answers.warn(stderr, ref, found)

	x := newExplanation(args[0], ref, found, touched)
	x.Runtime = e.runtime
	if from != nil && found.Rule != nil {
		x.InForce = countFrom(cmd.Context(), from, stderr, found.Rule, sets)
	}
	return x.print(cmd.OutOrStdout(), e.format.Name)
}

// readSets returns the sets of the files, or those of the cluster, with the cluster.
func (e *explainer) readSets(cmd *cobra.Command) ([]configv1.ImageDigestMirrorSet, *cluster, error) {
	if len(e.filenames) > 0 {
		sets, err := e.read(cmd.InOrStdin(), cmd.ErrOrStderr())
		return sets, nil, err
	}
	from, err := e.cluster.connect()
	if err != nil {
		return nil, nil, err
	}
	sets, err := from.sets(cmd.Context())
	if err != nil {
		return nil, nil, fmt.Errorf("without -f, the sets are those of a cluster: %w", err)
	}
	return sets, from, nil
}

// countFrom counts on the nodes. Who may read sets may not be allowed to read nodes, and gets the rest of the answer.
func countFrom(ctx context.Context, from *cluster, stderr io.Writer, rule *mirrors.Rule, sets []configv1.ImageDigestMirrorSet) []reach {
	nodes, err := from.nodes(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "warning: on how many nodes this is in force is not known: %v\n", err)
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
			from = append(from, r.Rule.From...)
		}
	}
	by := "no source"
	if readers.Rule != nil {
		by = fmt.Sprintf("source %q", readers.Rule.Source)
	}
	fmt.Fprintf(stderr, "warning: RuntimesDiffer: %s: image %s: CRI-O and Podman find %s and %s\n", mirrors.Names(from), ref, by, outcome(readers))
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
