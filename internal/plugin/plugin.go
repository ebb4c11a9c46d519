// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin is the command line of kubectl-mirrors: what a set of manifests means, seen before it is applied.
package plugin

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/mirrors"
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
	cmd.AddCommand(newRenderCommand(), newExplainCommand(), newUninstallCommand())
	return cmd
}

// input is what the verbs that read manifests have in common.
type input struct {
	filenames []string
	insecure  []string
}

func (in *input) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&in.filenames, "filename", "f", nil, "file or directory with manifests, or - for standard input; may be repeated")
	cmd.Flags().StringArrayVar(&in.insecure, "insecure-registry", nil, "scope (host[:port][/path] or *.host) to reach without TLS checks; may be repeated")
	if err := cmd.MarkFlagRequired("filename"); err != nil {
		panic(err) // the flag is the one above
	}
}

// merge reads the manifests and merges them. Notes about the manifests themselves go to stderr.
func (in *input) merge(stdin io.Reader, stderr io.Writer) (mirrors.Result, error) {
	insecure, err := mirrors.ParseScopes(in.insecure)
	if err != nil {
		return mirrors.Result{}, fmt.Errorf("--insecure-registry: %w", err)
	}
	m, err := readManifests(in.filenames, stdin)
	if err != nil {
		return mirrors.Result{}, err
	}
	for _, note := range m.notes {
		fmt.Fprintln(stderr, note)
	}
	return mirrors.Merge(mirrors.Input{Sets: m.sets, Insecure: insecure}), nil
}
