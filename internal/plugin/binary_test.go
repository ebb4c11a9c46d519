// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestTheProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "kubectl-mirrors")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/kubectl-mirrors")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("exits with zero or one", func(t *testing.T) { exitsWithZeroOrOne(t, program) })
	t.Run("lets only its own words reach the terminal", func(t *testing.T) { saysOnlyItsOwnWords(t, program) })
}

func exitsWithZeroOrOne(t *testing.T, program string) {
	setA := plugintest.Set("a", "s.com", "m.local")
	blocked := plugintest.Never("a", "s.com", "m.local")
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
		{"wrong input", setA + "specs: {}\n", []string{"render", "-f", "-"}, 1, "", "refused: standard input: document 1: line 9: "},
		{"a wrong image", setA, []string{"explain", "UPPER", "-f", "-"}, 1, "", "error: image \"UPPER\""},
		{"a missing flag", "", []string{"render"}, 1, "", "error: name manifests with -f"},
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

// What client-go has to say of a watch that it begins again would stand between the rows.
func saysOnlyItsOwnWords(t *testing.T, program string) {
	configMap := plugintest.ConfigMapOf(t, plugintest.Current)
	objects := map[string]any{plugintest.ConfigMapPath: configMap}
	for path, list := range map[string]any{
		plugintest.SetsPath: plugintest.SetList(), plugintest.TagSetsPath: plugintest.TagSetList(),
		plugintest.NodesPath:                             plugintest.NodeList(plugintest.NodeAt("node-1", plugintest.CurrentRevision-1)),
		"/api/v1/namespaces/mirrorset-system/configmaps": map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{configMap}},
	} {
		answers := plugintest.Lists(t, list, func() any { return list })
		objects[path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); !q.Has("watch") || q.Has("sendInitialEvents") {
				answers(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "no event\n") // the client says so
		})
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "nodes", "--watch", "--timeout=1s", "--server", plugintest.Serve(t, objects))
	cmd.Stderr = &stderr
	const want = "0 of 1 node has revision 1795573438818 in force; 1 behind.\nerror: after 1s, not all nodes have the sets in force as they are now\n"
	if err := cmd.Run(); err == nil || stderr.String() != want {
		t.Errorf("%v, stderr:\n%s\nwant:\n%s", err, &stderr, want)
	}
}
