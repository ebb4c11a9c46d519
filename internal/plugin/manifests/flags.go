// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests reads the sets that the verbs of kubectl mirrors are given in files, as an API server would
// take them, and merges them as the manager does.
package manifests

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

// Flags are those of the verbs that read sets.
type Flags struct {
	// Filenames are files, directories, and "-" for standard input.
	Filenames []string

	insecure []string
}

// AddFilename adds the flag -f.
func (f *Flags) AddFilename(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.Filenames, "filename", "f", nil, "file or directory with manifests, or - for standard input; may be repeated")
	command.CompleteManifests(cmd, "filename")
}

// AddInsecure adds the flag of the manager by the same name.
func (f *Flags) AddInsecure(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.insecure, "insecure-registry", nil, "scope (host[:port][/path] or *.host) to reach without TLS checks; may be repeated")
	command.CompleteWith(cmd, "insecure-registry")
}

// Read returns the sets of the files. Notes about the manifests themselves go to standard error.
func (f *Flags) Read(cmd *cobra.Command) ([]kinds.Set, error) {
	if _, err := f.scopes(); err != nil {
		return nil, err
	}
	m, err := Read(f.Filenames, cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	for _, note := range m.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), note)
	}
	return m.Sets, nil
}

// Merge merges sets, which need not be those of the files.
func (f *Flags) Merge(sets []kinds.Set) (mirrors.Result, error) {
	insecure, err := f.scopes()
	if err != nil {
		return mirrors.Result{}, err
	}
	return kinds.Merge(sets, insecure), nil
}

func (f *Flags) scopes() (mirrors.Scopes, error) {
	scopes, err := mirrors.ParseScopes(f.insecure)
	if err != nil {
		return scopes, fmt.Errorf("--insecure-registry: %w", err)
	}
	return scopes, nil
}
