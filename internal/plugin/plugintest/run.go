// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugintest runs verbs of kubectl mirrors, and stands in for the clusters that they ask, for tests.
package plugintest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
)

// Result is what one run of the program leaves behind.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Program returns the program with these verbs alone.
func Program(verbs ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{Use: "kubectl-mirrors", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(verbs...)
	return root
}

// Run runs a program in this process.
func Run(t *testing.T, program *cobra.Command, stdin string, args ...string) Result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	program.SetArgs(args)
	program.SetIn(strings.NewReader(stdin))
	program.SetOut(&stdout)
	program.SetErr(&stderr)
	program.SetContext(t.Context())
	code := command.Run(program)
	return Result{stdout.String(), stderr.String(), code}
}

// Want compares all of it.
func (r Result) Want(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	if r.Code != code {
		t.Errorf("exit code %d, want %d", r.Code, code)
	}
	if r.Stdout != stdout {
		t.Errorf("stdout:\n%s\nwant:\n%s", r.Stdout, stdout)
	}
	if r.Stderr != stderr {
		t.Errorf("stderr:\n%s\nwant:\n%s", r.Stderr, stderr)
	}
}

// MustSucceed ends the test unless the exit code is 0.
func (r Result) MustSucceed(t *testing.T) Result {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("exit code %d: %s", r.Code, r.Stderr)
	}
	return r
}

// WantError checks that the run ended in an error with all the texts in it, and printed nothing else.
func (r Result) WantError(t *testing.T, texts ...string) {
	t.Helper()
	if r.Code != 1 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "error: ") {
		t.Fatalf("exit code %d, stdout %q, stderr %q; want an error alone", r.Code, r.Stdout, r.Stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("%q lacks %q", r.Stderr, text)
		}
	}
}
