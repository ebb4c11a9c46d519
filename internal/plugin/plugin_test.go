// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
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
		{"a name for what has one", []string{"convert", "-f", "testdata/cases/convert-policies.yaml", "--name=x"}, "--name is for a registries.yaml only\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, manifest, tt.args...).WantError(t, tt.want)
		})
	}
}

// run runs the program.
func run(t *testing.T, stdin string, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugin.NewCommand(), stdin, args...)
}
