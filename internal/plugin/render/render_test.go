// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestInsecureScopesMarkTheMirrorsAndSourcesInThem(t *testing.T) {
	manifest := plugintest.Documents(plugintest.Set("a", "s.example/team", "m.example:5000/s", "m.example:5001/s"), plugintest.Set("b", "*.w.example", "m.example:5000/w"))
	got := run(t, manifest, "render", "-f", "-", "--insecure-registry", "m.example:5000", "--insecure-registry", "*.w.example").MustSucceed(t).Stdout
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
