// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package output prints what the verbs of kubectl mirrors find: in the format of the flag -o, as tables and warnings for people,
// and on the last line of a terminal.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

// Format is the flag -o of a verb.
type Format struct {
	// Name is what was asked for. Once it is checked, it is one of the formats.
	Name string

	formats []string
}

// AddFlag adds the flag with its formats. Where it is left out, the first of them counts.
func (f *Format) AddFlag(cmd *cobra.Command, formats ...string) {
	f.formats = formats
	cmd.Flags().StringVarP(&f.Name, "output", "o", "", "output format: "+strings.Join(formats, ", "))
	command.CompleteWith(cmd, "output", formats...)
}

// Check returns an error for a format that the verb has not.
func (f *Format) Check() error {
	if f.Name == "" {
		f.Name = f.formats[0]
	}
	if !slices.Contains(f.formats, f.Name) {
		return fmt.Errorf("--output %q: the value must be one of %s", f.Name, strings.Join(f.formats, ", "))
	}
	return nil
}

// Value prints a value in the format json or yaml.
func Value(out io.Writer, format string, value any) error {
	if format == "yaml" {
		text, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
