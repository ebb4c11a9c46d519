// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests reads the sets that the verbs of kubectl mirrors are given in files, as kubectl reads them and as an API server
// would take them, and merges them as the manager does.
package manifests

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

// Flags are those of the verbs that read sets.
type Flags struct {
	// Filenames are files, directories, URLs, and "-" for standard input.
	Filenames []string
	// Kustomize is a folder with a kustomization, instead of files.
	Kustomize string
	// Recursive has directories read with all that is below them.
	Recursive bool

	strict   bool
	refused  []Refusal
	insecure []string
}

// AddFilename adds the flags -f, -R, -k and --strict. The verb's exit code then says where objects were refused, or --strict found
// warnings, once the verb has said the rest.
func (f *Flags) AddFilename(cmd *cobra.Command) {
	cmd.Flags().StringSliceVarP(&f.Filenames, "filename", "f", nil, "file, directory or URL with manifests, or - for standard input; may be repeated")
	cmd.Flags().BoolVarP(&f.Recursive, "recursive", "R", false, "read the subdirectories of -f too")
	cmd.Flags().StringVarP(&f.Kustomize, "kustomize", "k", "", "directory with a kustomization, built as kubectl does; cannot be used with -f")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "treat every warning as an error, for CI")
	command.CompleteManifests(cmd, "filename")
	command.CompleteFolders(cmd, "kustomize")
	verb := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var warnings warningCounter
		if f.strict {
			warnings.out = cmd.ErrOrStderr()
			cmd.SetErr(&warnings)
		}
		return f.verdict(verb(cmd, args), warnings.count)
	}
}

// verdict makes an error of what the verb could answer only in part.
func (f *Flags) verdict(err error, warnings int) error {
	var answer command.Verdict
	switch {
	case err != nil && !errors.As(err, &answer):
		return err
	case len(f.refused) > 0:
		return fmt.Errorf("%s, so the answer leaves %s out; if the cluster has an older version, that version stays in force", refusals(len(f.refused)), them(len(f.refused)))
	case warnings > 0:
		return fmt.Errorf("--strict: warnings: %d", warnings)
	}
	return err
}

// AddInsecure adds the flag of the manager by the same name.
func (f *Flags) AddInsecure(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.insecure, "insecure-registry", nil, "scope (host[:port][/path] or *.host) to reach without TLS checks; may be repeated")
	command.CompleteWith(cmd, "insecure-registry")
}

// Given reports whether the flags name manifests.
func (f *Flags) Given() bool {
	return len(f.Filenames) > 0 || f.Kustomize != ""
}

// EachDocument passes on each document in JSON, with its place, and what is to be said of its keys that are there more than once. Errors
// come to name the place.
func (f *Flags) EachDocument(cmd *cobra.Command, read func(place string, data []byte, repeated []string) error) error {
	in, err := f.input(cmd)
	if err != nil {
		return err
	}
	return in.each(cmd.Context(), func(d document) error {
		var repeated []string
		for _, r := range positionsOf(d).repeats() {
			repeated = append(repeated, fmt.Sprintf("line %d: the key %q is repeated in this mapping; the last value is used, and the others are lost", r.line, r.key))
		}
		return read(d.place, d.json, repeated)
	})
}

func (f *Flags) input(cmd *cobra.Command) (*input, error) {
	switch {
	case !f.Given():
		return nil, errors.New("name manifests with -f, or the directory of a kustomization with -k")
	case f.Kustomize != "" && (len(f.Filenames) > 0 || f.Recursive):
		return nil, errors.New("-k cannot be combined with -f or -R")
	}
	return &input{filenames: f.Filenames, recursive: f.Recursive, kustomize: f.Kustomize, stdin: cmd.InOrStdin()}, nil
}

// Read returns the sets of the files that the API server takes. Standard error names the sets that it refuses, and
// has notes about the manifests. A refused set makes the verb fail in the end. Read fails immediately where no set is left.
func (f *Flags) Read(cmd *cobra.Command) ([]kinds.Set, error) {
	if _, err := f.scopes(); err != nil {
		return nil, err
	}
	m, err := f.readAndNote(cmd)
	if err != nil {
		return nil, err
	}
	switch {
	case len(m.Sets) == 0 && len(m.Refused) > 0:
		return nil, fmt.Errorf("%s, and there is no other set", refusals(len(m.Refused)))
	case len(m.Sets) == 0 && f.strict:
		return nil, errors.New("--strict: there is no set")
	}
	f.refused = append(f.refused, m.Refused...)
	return m.Sets, nil
}

// ReadBefore is [Flags.Read] for what others are compared with: what was refused then was never in force, which is no error now.
func (f *Flags) ReadBefore(cmd *cobra.Command) ([]kinds.Set, error) {
	m, err := f.readAndNote(cmd)
	if err != nil {
		return nil, err
	}
	return m.Sets, nil
}

func (f *Flags) readAndNote(cmd *cobra.Command) (*Manifests, error) {
	in, err := f.input(cmd)
	if err != nil {
		return nil, err
	}
	m, err := in.read(cmd.Context())
	if err != nil {
		return nil, err
	}
	for _, note := range m.Notes {
		fmt.Fprintln(cmd.ErrOrStderr(), note)
	}
	for _, refusal := range m.Refused {
		refusal.print(cmd.ErrOrStderr())
	}
	return m, nil
}

// Refused names the sets that the files have, and that the API server refuses.
func (f *Flags) Refused() []mirrors.Object {
	var names []mirrors.Object
	for _, r := range f.refused {
		if r.Set.Kind != nil {
			names = append(names, r.Set)
		}
	}
	return names
}

// Merge merges sets, which need not be those of the files.
func (f *Flags) Merge(sets []kinds.Set) (mirrors.Result, error) {
	insecure, err := f.scopes()
	if err != nil {
		return mirrors.Result{}, err
	}
	result := kinds.Merge(sets, insecure)
	if result.TooLarge {
		return result, mirrors.ErrTooLarge
	}
	return result, nil
}

func (f *Flags) scopes() (mirrors.Scopes, error) {
	scopes, err := mirrors.ParseScopes(f.insecure)
	if err != nil {
		return scopes, fmt.Errorf("--insecure-registry: %w", err)
	}
	return scopes, nil
}
