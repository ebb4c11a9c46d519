// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	documented = regexp.MustCompile(`(?m)^([a-zA-Z0-9_-]+):.*## `)
	phony      = regexp.MustCompile(`(?m)^\.PHONY: (.+)$`)
	helpLine   = regexp.MustCompile(`(?m)^  ([a-zA-Z0-9_-]+) +(\S.*)$`)
)

// listed returns the targets that make prints for a target of help, and checks their descriptions.
func listed(t *testing.T, target string) (names []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", root, target)
	cmd.Env = append(os.Environ(), "MAKEFLAGS=") // those of a make that runs the tests
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, line := range helpLine.FindAllStringSubmatch(string(out), -1) {
		names = append(names, line[1])
		if text := line[2]; len(text) >= 100 || !strings.HasSuffix(text, ".") {
			t.Errorf("make %s: the description of %s has %d characters and must be a sentence of less than 100: %s", target, line[1], len(text), text)
		}
	}
	return names
}

func TestMakeHelpListsTheTargets(t *testing.T) {
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var want, declared []string
	for _, found := range documented.FindAllStringSubmatch(string(makefile), -1) {
		want = append(want, found[1])
	}
	for _, found := range phony.FindAllStringSubmatch(string(makefile), -1) {
		declared = append(declared, strings.Fields(found[1])...)
	}
	all := listed(t, "help-all")
	if !slices.Equal(all, want) {
		t.Errorf("make help-all lists %q; the Makefile describes %q", all, want)
	}
	for _, name := range all {
		if !slices.Contains(declared, name) {
			t.Errorf("make help-all lists %s, which is not .PHONY", name)
		}
	}
	common := listed(t, "help")
	if len(common) != 10 {
		t.Errorf("make help lists %d targets, want 10: %q", len(common), common)
	}
	for _, name := range common {
		if !slices.Contains(all, name) {
			t.Errorf("make help lists %s, and make help-all does not", name)
		}
	}
}
