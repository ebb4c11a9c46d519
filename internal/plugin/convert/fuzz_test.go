// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package convert_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mirrorset/mirrorset/internal/plugin/manifests"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// failer is a test or a draw of a property.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// wantTaken holds that what comes out is what an API server takes, whatever goes in, and that nobody is told of a line of the output.
func wantTaken(t failer, text string, r plugintest.Result) {
	t.Helper()
	if strings.Contains(r.Stderr, "would refuse the result") {
		t.Fatalf("%q:\n%s", text, r.Stderr)
	}
	if r.Stdout == "" {
		if r.Code == 0 {
			t.Fatalf("%q: exit code 0 without a set:\n%s", text, r.Stderr)
		}
		return
	}
	if _, err := manifests.Read([]string{"-"}, strings.NewReader(r.Stdout)); err != nil {
		t.Fatalf("%q:\n%s%v", text, r.Stdout, err)
	}
}

// oddValues stand where a host, a place, a name or a word belongs.
var oddValues = []string{
	"quay.io", "m.example", "m.example/a", "", "m/a:v1", "https://m.example", "single", "index.docker.io", "a b", "*", "*.io", "*.io/x", "Quay.IO", "m.example/A",
	"m.example:port", "[::1]:5000", "\u2028", "\u0085", "a\n---\nb", "\x00", "é.example", "m.example/" + strings.Repeat("a", 300), "NeverContactSource", "Foo", "docker.io", "~", "'", "}{",
}

// forms are documents of each format, where each verb is a value.
var forms = []string{
	`{"mirrors": {%q: {"endpoint": [%q, %q], "rewrite": {%q: %q}}, %q: {"endpoint": [%q]}}}`,
	`{"machine": {"registries": {"mirrors": {%q: {"endpoints": [%q, %q], "skipFallback": true}, %q: {"endpoints": [%q], "overridePath": true}}}}}`,
	`{"apiVersion": "v1alpha1", "kind": "RegistryMirrorConfig", "name": %q, "endpoints": [{"url": %q}, {"url": %q, "overridePath": true}]}`,
	`{"imageDigestSources": [{"source": %q, "mirrors": [%q, %q], "sourcePolicy": %q}, {"source": %q}], "imageContentSources": [{"source": %q, "mirrors": [%q]}]}`,
	`{"apiVersion": "operator.openshift.io/v1alpha1", "kind": "ImageContentSourcePolicy", "metadata": {"name": %q, "labels": {%q: %q}, "annotations": {"a": %q, %q: "b"}}, "spec": {"repositoryDigestMirrors": [{"source": %q, "mirrors": [%q, %q]}]}}`,
	`{"apiVersion": "config.openshift.io/v1", "kind": "ImageTagMirrorSet", "metadata": {"name": %q, "labels": {"a": %q}, "annotations": {"a": %q}}, "spec": {"imageTagMirrors": [{"source": %q, "mirrors": [%q, %q], "mirrorSourcePolicy": %q}]}}`,
	"[[registry]]\nprefix = %q\nlocation = %q\n[[registry.mirror]]\nlocation = %q\n[[registry]]\nlocation = %q\nblocked = true\n[[registry.mirror]]\nlocation = %q\n",
}

func TestAnyOddValueIsSaidOfItsOwnFile(test *testing.T) {
	converted := 0
	rapid.Check(test, func(t *rapid.T) {
		value := rapid.OneOf(rapid.SampledFrom(oddValues[:3]), rapid.SampledFrom(oddValues), rapid.String())
		form := rapid.SampledFrom(forms).Draw(t, "form")
		values := make([]any, strings.Count(form, "%q"))
		for i := range values {
			values[i] = value.Draw(t, "value")
		}
		text := fmt.Sprintf(form, values...)
		args := []string{"-f", "-"}
		if rapid.Bool().Draw(t, "named") {
			args = append(args, "--name", "x")
		}
		r := run(test, text, args...)
		if wantTaken(t, text, r); r.Stdout != "" {
			converted++
		}
	})
	if !test.Failed() && converted == 0 {
		test.Error("nothing was converted")
	}
}

func FuzzConvert(f *testing.F) {
	seeds, err := filepath.Glob("../testdata/cases/convert-*.yaml")
	if err != nil || len(seeds) == 0 {
		f.Fatal(seeds, err)
	}
	for _, seed := range seeds {
		text, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(table)
	f.Fuzz(func(t *testing.T, text string) {
		wantTaken(t, text, run(t, text, "-f", "-", "--name", "x"))
	})
}
