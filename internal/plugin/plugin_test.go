// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestCommandLineMistakesAreErrors(t *testing.T) {
	manifest := plugintest.Set("a", "s.example", "m.example")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"render without -f", []string{"render"}, "name manifests with -f, or the directory of a kustomization with -k"},
		{"explain without -f, and no cluster", []string{"explain", "s.example/x:1", "--server", "http://127.0.0.1:1"}, "the sets could not be read from the cluster; to read them from files, use -f: "},
		{"an unknown runtime", []string{"explain", "a", "-f", "-", "--runtime", "docker"}, `--runtime "docker": the value must be crio or containerd`},
		{"explain without an image", []string{"explain", "-f", "-"}, "name exactly one image; there are 0 arguments"},
		{"explain with two images", []string{"explain", "a", "b", "-f", "-"}, "name exactly one image; there are 2 arguments"},
		{"render with an image", []string{"render", "a", "-f", "-"}, "a"},
		{"an unknown output format", []string{"explain", "a", "-f", "-", "-o", "xml"}, `--output "xml": the value must be one of table, wide, json, yaml, name`},
		{"an image that is none", []string{"explain", "S.example/UPPER", "-f", "-"}, `image "S.example/UPPER"`},
		{"an image with a broken digest", []string{"explain", "s.example/x@sha256:1", "-f", "-"}, `image "s.example/x@sha256:1"`},
		{"an insecure scope that is none", []string{"render", "-f", "-", "--insecure-registry", "http://m"}, `--insecure-registry: scope "http://m"`},
		{"an unknown verb", []string{"apply"}, `unknown command "apply" for "kubectl mirrors"`},
		{"help about an unknown verb", []string{"help", "apply"}, `unknown command "apply" for "kubectl mirrors"`},
		{"an unknown shell", []string{"completion", "csh"}, `there is no completion script for "csh"; name one of bash, fish, powershell, zsh`},
		{"completion of no shell", []string{"completion"}, "name a shell: bash, fish, powershell, zsh"},
		{"a version of something", []string{"version", "x"}, `unknown command "x" for "kubectl mirrors version"`},
		{"a name for what has one", []string{"convert", "-f", "testdata/cases/convert-policies.yaml", "--name=x"}, "--name applies to a single object, or to objects whose names an API server refuses; these 2 objects have valid names\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, manifest, tt.args...).WantError(t, tt.want)
		})
	}
}

func TestHelpHasTheFlagsOfAVerbBeforeThoseOfKubectl(t *testing.T) {
	for _, args := range [][]string{{"explain", "--help"}, {"help", "explain"}} {
		text := run(t, "", args...).MustSucceed(t).Stdout
		own, kubectl, found := strings.Cut(text, "\nFlags of kubectl, to connect to the cluster:\n")
		_, own, hasOwn := strings.Cut(own, "\nFlags:\n")
		if !found || !hasOwn {
			t.Fatalf("%q: %s", args, text)
		}
		for flag, in := range map[string]string{"--runtime": own, "--filename": own, "--namespace": own, "--kubeconfig": kubectl, "--token": kubectl, "--context": kubectl} {
			if !strings.Contains(in, flag+" ") || strings.Count(text, flag+" string") > 1 {
				t.Errorf("%q: %s is not where it belongs:\n%s", args, flag, text)
			}
		}
	}
	if text := run(t, "", "convert", "--help").MustSucceed(t).Stdout; strings.Contains(text, "Flags of kubectl") || !strings.Contains(text, "--name ") {
		t.Errorf("a verb that asks no cluster: %s", text)
	}
}

func TestTheVersionIsAVerbAndAFlag(t *testing.T) {
	verb, flag := run(t, "", "version").MustSucceed(t), run(t, "", "--version").MustSucceed(t)
	if verb.Stdout != flag.Stdout || !strings.HasPrefix(verb.Stdout, "kubectl mirrors version v") {
		t.Errorf("%q and %q", verb.Stdout, flag.Stdout)
	}
}

// run runs the program.
func run(t *testing.T, stdin string, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugin.NewCommand(), stdin, args...)
}
