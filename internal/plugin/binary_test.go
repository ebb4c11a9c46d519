// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheProgramExitsWithZeroOrOne(t *testing.T) {
	program := filepath.Join(t.TempDir(), "kubectl-mirrors")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/kubectl-mirrors")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	blocked := never("a", "s.com", "m.local")
	for _, tt := range []struct {
		name, stdin            string
		args                   []string
		code                   int
		wantStdout, wantStderr string // beginnings; "" wants nothing at all
	}{
		{"sets without findings", setA, []string{"render", "-f", "-"}, 0, "# Written by Mirrorset", ""},
		{"sets with findings", blocked, []string{"render", "-f", "-"}, 0, "# Written by Mirrorset", "warning: BlocksTagPulls: a: "},
		{"a refused pull", blocked, []string{"explain", "s.com/x:1", "-f", "-", "-o", "json"}, 0, "{\n", "warning: BlocksTagPulls: a: "},
		{"no sets", "", []string{"render", "-f", "-"}, 0, "# Written by Mirrorset", "note: no ImageDigestMirrorSet"},
		{"wrong input", setA + "specs: {}\n", []string{"render", "-f", "-"}, 1, "", "error: standard input: document 1: "},
		{"a wrong image", setA, []string{"explain", "UPPER", "-f", "-"}, 1, "", "error: image \"UPPER\""},
		{"a missing flag", "", []string{"render"}, 1, "", "error: required flag(s) \"filename\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), program, tt.args...)
			cmd.Stdin = strings.NewReader(tt.stdin)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			var exit *exec.ExitError
			if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			for stream, has := range map[string][2]string{"stdout": {stdout.String(), tt.wantStdout}, "stderr": {stderr.String(), tt.wantStderr}} {
				if got, want := has[0], has[1]; !strings.HasPrefix(got, want) || (got == "") != (want == "") {
					t.Errorf("%s %q, want %q", stream, got, want)
				}
			}
		})
	}
}
