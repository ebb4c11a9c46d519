// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

func TestVerdictsAreExitCodesAndErrorsArePrinted(t *testing.T) {
	answers := map[string]string{command.ErrorCode: "2"}
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		err         error
		code        int
		stderr      string
	}{
		{"no error", nil, nil, 0, ""},
		{"an error", nil, errors.New("broken"), 1, "error: broken\n"},
		{"a verdict", answers, command.Verdict(1), 1, ""},
		{"another verdict", nil, command.Verdict(3), 3, ""},
		{"an error of a verb whose 1 is an answer", answers, errors.New("broken"), 2, "error: broken\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := &cobra.Command{Use: "root", SilenceErrors: true, SilenceUsage: true}
			root.AddCommand(&cobra.Command{Use: "verb", Annotations: tt.annotations, RunE: func(*cobra.Command, []string) error { return tt.err }})
			root.SetArgs([]string{"verb"})
			var stderr bytes.Buffer
			root.SetErr(&stderr)
			if code := command.Run(root); code != tt.code || stderr.String() != tt.stderr {
				t.Errorf("code %d, stderr %q; want %d, %q", code, stderr.String(), tt.code, tt.stderr)
			}
		})
	}
}
