// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin"
)

// result is what one run of the command left behind.
type result struct {
	stdout, stderr string
	err            error
}

// run executes the command in this process.
func run(stdin string, args ...string) result {
	var stdout, stderr bytes.Buffer
	cmd := plugin.NewCommand()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	err := cmd.Execute()
	return result{stdout: stdout.String(), stderr: stderr.String(), err: err}
}

// succeed executes the command and fails the test on an error.
func succeed(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	r := run(stdin, args...)
	if r.err != nil {
		t.Fatalf("kubectl mirrors %s: %v", strings.Join(args, " "), r.err)
	}
	return r
}

// wantFailure checks that the run ended in an error with all the texts in it, and printed nothing.
func wantFailure(t *testing.T, r result, texts ...string) {
	t.Helper()
	if r.err == nil {
		t.Fatalf("no error; stdout:\n%s", r.stdout)
	}
	for _, text := range texts {
		if !strings.Contains(r.err.Error(), text) {
			t.Errorf("error %q lacks %q", r.err, text)
		}
	}
	if r.stdout != "" || r.stderr != "" {
		t.Errorf("stdout %q, stderr %q; want both empty", r.stdout, r.stderr)
	}
}

// set is the manifest of a set with one entry.
func set(name, source string, mirrors ...string) string {
	return "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata:\n  name: " + name +
		"\nspec:\n  imageDigestMirrors:\n  - source: '" + source + "'\n    mirrors: [" + strings.Join(mirrors, ", ") + "]\n"
}

// never is [set] with the policy NeverContactSource.
func never(name, source string, mirrors ...string) string {
	return set(name, source, mirrors...) + "    mirrorSourcePolicy: NeverContactSource\n"
}

// documents joins manifests into one file.
func documents(manifests ...string) string {
	return strings.Join(manifests, "---\n")
}

// write puts a file into the folder and returns its path.
func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandLineMistakesAreErrors(t *testing.T) {
	manifest := set("a", "s.example", "m.example")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"render without -f", []string{"render"}, `required flag(s) "filename" not set`},
		{"explain without -f, and no cluster", []string{"explain", "s.example/x:1", "--server", "http://127.0.0.1:1"}, "without -f, the sets are those of a cluster: "},
		{"an unknown runtime", []string{"explain", "a", "-f", "-", "--runtime", "docker"}, `--runtime "docker": want crio or containerd`},
		{"explain without an image", []string{"explain", "-f", "-"}, "want one image to explain, got 0"},
		{"explain with two images", []string{"explain", "a", "b", "-f", "-"}, "want one image to explain, got 2"},
		{"render with an image", []string{"render", "a", "-f", "-"}, "a"},
		{"an unknown output format", []string{"explain", "a", "-f", "-", "-o", "xml"}, `--output "xml": want one of table, wide, json, yaml, name`},
		{"an image that is none", []string{"explain", "S.example/UPPER", "-f", "-"}, `image "S.example/UPPER"`},
		{"an image with a broken digest", []string{"explain", "s.example/x@sha256:1", "-f", "-"}, `image "s.example/x@sha256:1"`},
		{"an insecure scope that is none", []string{"render", "-f", "-", "--insecure-registry", "http://m"}, `--insecure-registry: scope "http://m"`},
		{"an unknown verb", []string{"apply"}, "apply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantFailure(t, run(manifest, tt.args...), tt.want)
		})
	}
}

func TestInsecureScopesMarkTheMirrorsAndSourcesInThem(t *testing.T) {
	manifest := documents(set("a", "s.example/team", "m.example:5000/s", "m.example:5001/s"), set("b", "*.w.example", "m.example:5000/w"))
	got := succeed(t, manifest, "render", "-f", "-", "--insecure-registry", "m.example:5000", "--insecure-registry", "*.w.example").stdout
	for location, want := range map[string]bool{
		`location = "s.example/team"`:   false,
		`location = "m.example:5000/s"`: true,
		`location = "m.example:5001/s"`: false,
		`prefix = "*.w.example"`:        true,
		`location = "m.example:5000/w"`: true,
	} {
		if marked := strings.Contains(got, location+"\ninsecure = true\n"); marked != want {
			t.Errorf("%s marked insecure: %v, want %v; output:\n%s", location, marked, want, got)
		}
	}
}
