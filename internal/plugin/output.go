// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// output is the flag -o of a verb. Where it is left out, the first of the formats counts.
type output struct {
	format  string
	formats []string
}

func (o *output) addFlag(cmd *cobra.Command, formats ...string) {
	o.formats = formats
	cmd.Flags().StringVarP(&o.format, "output", "o", "", "output format: "+strings.Join(formats, ", "))
	completeWith(cmd, "output", formats)
}

// check returns the format asked for.
func (o *output) check() (string, error) {
	if o.format == "" {
		return o.formats[0], nil
	}
	if !slices.Contains(o.formats, o.format) {
		return "", fmt.Errorf("--output %q: want one of %s", o.format, strings.Join(o.formats, ", "))
	}
	return o.format, nil
}

// completeWith has the shell offer these values of a flag, and no files.
func completeWith(cmd *cobra.Command, flag string, values []string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag exists
	}
}

// onlyWith fails if one of the flags is set, for they count beside another one only, which is not there.
func onlyWith(cmd *cobra.Command, other string, flags ...string) error {
	for _, name := range flags {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s is for %s only", name, other)
		}
	}
	return nil
}

// printValue prints a value as json or yaml.
func printValue(out io.Writer, format string, value any) error {
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
