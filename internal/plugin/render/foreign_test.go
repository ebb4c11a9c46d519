// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// rendered runs render into a folder that others have put files into.
func rendered(t *testing.T, manifest string, theirs ...string) (dir string, r plugintest.Result) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range theirs {
		plugintest.WriteFile(t, filepath.Join(dir, name), "", 0o600)
	}
	r = run(t, manifest, "render", "-f", "-", "-o", "certs.d", "--output-dir", dir)
	if r.Code != 0 {
		t.Fatalf("exit code %d, %s", r.Code, r.Stderr)
	}
	return dir, r
}

func TestCertificatesOfOthersAreCarriedOver(t *testing.T) {
	manifest := plugintest.Set("a", "s.com:5000", "m.local/s")
	dir, r := rendered(t, manifest, "s.com_5000_/ca.crt", "s.com_5000_/client.cert", "s.com_5000_/client.key")
	text, err := os.ReadFile(filepath.Join(dir, "s.com_5000_", "hosts.toml"))
	if err != nil || !strings.Contains(string(text), `ca = ["ca.crt"]`) || !strings.Contains(string(text), `client = [["client.cert", "client.key"]]`) || r.Stderr != "" {
		t.Errorf("%v, stderr %q:\n%s", err, r.Stderr, text)
	}
	again := run(t, manifest, "render", "-f", "-", "-o", "certs.d", "--output-dir", dir)
	again.Want(t, 0, filepath.Join(dir, "s.com_5000_", "hosts.toml")+" unchanged\n", "")
}

func TestFoldersOfOthersAreLeftAndNamed(t *testing.T) {
	for _, tt := range []struct {
		name, manifest, theirs string
		want                   string // with the folder as DIR
		written                bool
	}{
		{"a file that cannot be carried over", plugintest.Set("a", "s.com", "m.local/s"), "s.com/README", `warning: ForeignFolder: a: "s.com" has no file: DIR/s.com/README is not a file of Mirrorset, and containerd would ignore it next to the hosts.toml of Mirrorset`, false},
		{"a folder by the other name", plugintest.Set("a", "s.com:5000", "m.local/s"), "s.com:5000/ca.crt", `warning: ForeignFolder: a: "s.com:5000" has no file: DIR/s.com:5000/ca.crt is not a file of Mirrorset, and containerd would ignore it next to the hosts.toml of Mirrorset`, false},
		{"something in the folder of wildcards", plugintest.Set("a", "*.s.com", "m.local/s"), "_default/README", `warning: ForeignFolder: a: "_default" has no file: DIR/_default/README is not a file of Mirrorset, and containerd would ignore it next to the hosts.toml of Mirrorset`, false},
		{"a folder that hides a wildcard", plugintest.Set("a", "*.s.com", "m.local/s"), "x.s.com/ca.crt", `warning: ForeignFolder: a: DIR/x.s.com was not written by Mirrorset and hides source "*.s.com", so that source has no effect there; remove it, or name the registry in a set`, true},
		{"what a killed agent left by the other name", plugintest.Set("a", "s.com:5000", "m.local/s"), "s.com:5000/hosts.toml.mirrorset-tmp", "", true},
		{"a folder of another registry", plugintest.Set("a", "*.s.com", "m.local/s"), "t.com/ca.crt", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, r := rendered(t, tt.manifest, tt.theirs)
			var said string
			for line := range strings.Lines(r.Stderr) {
				if strings.Contains(line, "ForeignFolder") {
					said += strings.TrimSuffix(line, "\n")
				}
			}
			if want := strings.ReplaceAll(tt.want, "DIR", dir); said != want || strings.Contains(r.Stdout, " written\n") != tt.written {
				t.Errorf("stdout:\n%sstderr:\n%swant %q", r.Stdout, r.Stderr, want)
			}
		})
	}
}

func TestAnOutputThatTakesNoMoreIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }() // nothing was written
	var stderr strings.Builder
	cmd := plugintest.Program(Command())
	cmd.SetArgs([]string{"render", "-f", "../../../config/samples/10-site.yaml", "-o", "certs.d", "--output-dir", t.TempDir()})
	cmd.SetOut(full)
	cmd.SetErr(&stderr)
	if code := command.Run(cmd); code != 1 || !strings.Contains(stderr.String(), "no space left on device") {
		t.Errorf("exit code %d, stderr %q", code, stderr.String())
	}
}

// run runs the verb as the program does.
func run(t *testing.T, stdin string, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(Command()), stdin, args...)
}
