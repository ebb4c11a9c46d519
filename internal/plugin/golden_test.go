// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.txt from what the command prints")

const (
	samples = "../../config/samples"
	digest  = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func TestSamplesPrintWhatTheGoldenFilesHold(t *testing.T) {
	explain := func(image string, more ...string) []string {
		return append([]string{"explain", image, "-f", samples}, more...)
	}
	for _, tt := range []struct {
		name string // a sentence; the golden file is called after it
		args []string
	}{
		{"render prints all samples", []string{"render", "-f", samples}},
		{"render marks insecure scopes", []string{"render", "-f", samples, "--insecure-registry", "registry.site.example:5000", "--insecure-registry", "*.redhat.io"}},
		{"explain shows the mirror of a whole registry", explain("quay.io/libpod/busybox" + digest)},
		{"explain shows merged mirrors of a namespace", explain("quay.io/prometheus/node-exporter" + digest)},
		{"explain shows merged mirrors as json", explain("quay.io/prometheus/node-exporter"+digest, "-o", "json")},
		{"explain shows a short name in full", explain("alpine" + digest)},
		{"explain shows that tags go to the source", explain("alpine:3.22")},
		{"explain shows a wildcard", explain("registry.redhat.io/ubi9/ubi" + digest)},
		{"explain shows a blocked source", explain("ghcr.io/example/app" + digest)},
		{"explain shows a blocked source as json", explain("ghcr.io/example/app"+digest, "-o", "json")},
		{"explain shows a refused tag", explain("ghcr.io/example/app:v1")},
		{"explain shows a refused tag as json", explain("ghcr.io/example/app:v1", "-o", "json")},
		{"explain shows an image of no source", explain("registry.example/app" + digest)},
		{"explain shows an image of no source as json", explain("registry.example/app"+digest, "-o", "json")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := succeed(t, "", tt.args...)
			golden(t, "$ kubectl mirrors "+strings.Join(tt.args, " ")+"\n--- stdout\n"+r.stdout+"--- stderr\n"+r.stderr)
		})
	}
}

// golden compares the text with the file that is called after the running test, or writes that file.
func golden(t *testing.T, got string) {
	t.Helper()
	_, name, _ := strings.Cut(t.Name(), "/")
	path := filepath.Join("testdata", strings.ReplaceAll(name, "_", "-")+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant (%s; go test ./internal/plugin -update writes it):\n%s", got, path, want)
	}
}
