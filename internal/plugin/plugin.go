// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin is the command line of kubectl-mirrors: what a set of manifests means, seen before it is applied.
package plugin

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/version"
)

// NewCommand returns the command with all its verbs. Errors are returned by its Execute and not printed.
func NewCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kubectl-mirrors",
		Short: "See what ImageDigestMirrorSets mean",
		Long: "See what ImageDigestMirrorSets mean: the registries.conf they become, and the places that an image is pulled " +
			"from.",
		Version:       version.String(),
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl mirrors"},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.AddCommand(newRenderCommand(), newExplainCommand(), newDiffCommand(), newConvertCommand(), newNodesCommand(), newDoctorCommand(), newCheckCommand(), newUninstallCommand())
	return cmd
}

// Main runs the program and returns its exit code.
func Main() int {
	return command.Run(NewCommand())
}

// input is what the verbs that read sets have in common.
type input struct {
	filenames []string
	insecure  []string
	cluster   clusterFlags // for the verbs that take sets from a cluster as well
}

func (in *input) addFlags(cmd *cobra.Command) {
	in.addOptionalFlags(cmd)
	command.Require(cmd, "filename")
}

func (in *input) addOptionalFlags(cmd *cobra.Command) {
	in.addFilenameFlag(cmd)
	cmd.Flags().StringArrayVar(&in.insecure, "insecure-registry", nil, "scope (host[:port][/path] or *.host) to reach without TLS checks; may be repeated")
	command.CompleteWith(cmd, "insecure-registry")
}

func (in *input) addFilenameFlag(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&in.filenames, "filename", "f", nil, "file or directory with manifests, or - for standard input; may be repeated")
	command.CompleteManifests(cmd, "filename")
}

// addFlagsOfCluster has the verb read from a cluster where no file is named.
func (in *input) addFlagsOfCluster(cmd *cobra.Command) {
	in.addOptionalFlags(cmd)
	in.cluster = newClusterFlags()
	in.cluster.addFlags(cmd)
}

// merge reads the manifests and merges them. Notes about the manifests themselves go to stderr.
func (in *input) merge(stdin io.Reader, stderr io.Writer) (mirrors.Result, error) {
	sets, err := in.read(stdin, stderr)
	if err != nil {
		return mirrors.Result{}, err
	}
	return in.mergeSets(sets)
}

// read returns the sets of the manifests.
func (in *input) read(stdin io.Reader, stderr io.Writer) ([]configv1.ImageDigestMirrorSet, error) {
	if _, err := mirrors.ParseScopes(in.insecure); err != nil {
		return nil, fmt.Errorf("--insecure-registry: %w", err)
	}
	m, err := readManifests(in.filenames, stdin)
	if err != nil {
		return nil, err
	}
	for _, note := range m.notes {
		fmt.Fprintln(stderr, note)
	}
	return m.sets, nil
}

func (in *input) mergeSets(sets []configv1.ImageDigestMirrorSet) (mirrors.Result, error) {
	insecure, err := mirrors.ParseScopes(in.insecure)
	if err != nil {
		return mirrors.Result{}, fmt.Errorf("--insecure-registry: %w", err)
	}
	return mirrors.Merge(mirrors.Input{Sets: sets, Insecure: insecure}), nil
}
