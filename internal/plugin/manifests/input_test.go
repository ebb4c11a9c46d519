// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestFoldersAreReadWithWhatIsBelow(t *testing.T) {
	folder := t.TempDir()
	below := filepath.Join(folder, "below")
	write(t, folder, "a.yaml", setA)
	write(t, filepath.Join(below, "further"), "b.yml", setB)
	write(t, below, "README.md", "no manifest")
	for _, flag := range []string{"-R", "--recursive"} {
		r := run(t, "", "render", "-f", folder, flag).MustSucceed(t)
		if got := strings.Join(sourcesIn(r.Stdout), " "); got != "s.com t.com" {
			t.Errorf("sources %q", got)
		}
	}
	run(t, "", "render", "-f", below).WantError(t, below+": no file in this directory ends in .yaml, .yml or .json; to read subdirectories too, use -R")
	run(t, "", "render", "-f", below, "-R").MustSucceed(t)
}

func TestPatternsNameFiles(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "a.yaml", setA)
	write(t, folder, "b.txt", setB)
	r := run(t, "", "render", "-f", folder+"/[ab].*").MustSucceed(t)
	if got := strings.Join(sourcesIn(r.Stdout), " "); got != "s.com t.com" {
		t.Errorf("sources %q", got)
	}
	run(t, "", "render", "-f", folder+"/c.*").WantError(t, folder+"/c.*: no such file or directory")
}

func TestURLsAreFetched(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/none":
			http.NotFound(w, r)
		case r.URL.Path == "/trouble" && asked.Add(1) == 1:
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = w.Write([]byte(both)) // the test reads what comes
		}
	}))
	defer server.Close()
	for _, path := range []string{"/sets.yaml", "/trouble"} {
		r := run(t, "", "render", "-f", server.URL+path).MustSucceed(t)
		if got := strings.Join(sourcesIn(r.Stdout), " "); got != "s.com t.com" {
			t.Errorf("%s: sources %q", path, got)
		}
	}
	run(t, "", "render", "-f", server.URL+"/none").WantError(t, server.URL+"/none: the server answered 404 Not Found")
}

func TestKustomizationsAreBuilt(t *testing.T) {
	base, overlay := t.TempDir(), t.TempDir()
	write(t, base, "sets.yaml", both)
	write(t, base, "kustomization.yaml", "resources: [sets.yaml]\n")
	relative, err := filepath.Rel(overlay, base)
	if err != nil {
		t.Fatal(err)
	}
	write(t, overlay, "kustomization.yaml", "resources: ["+relative+"]\nnamePrefix: site-\npatches:\n- target: {name: b}\n  patch: |-\n    - op: replace\n      path: /spec/imageDigestMirrors/0/source\n      value: patched.com\n")
	for _, flag := range []string{"-k", "--kustomize"} {
		r := run(t, "", "render", flag, overlay).MustSucceed(t)
		if got := strings.Join(sourcesIn(r.Stdout), " "); got != "patched.com s.com" || !strings.Contains(r.Stdout, "# site-a") {
			t.Errorf("sources %q:\n%s", got, r.Stdout)
		}
	}
	run(t, "", "render", "-k", overlay, "-f", base).WantError(t, "-k cannot be combined")
	run(t, "", "render", "-k", overlay, "-R").WantError(t, "-k cannot be combined")
	empty := t.TempDir()
	run(t, "", "render", "-k", empty).WantError(t, "-k "+empty+": ", "kustomization")
	write(t, base, "sets.yaml", setA+"specs: {}\n")
	wantRefused(t, run(t, "", "render", "-k", base), "kustomization "+base+": document 1: ", `unknown field "specs"`)
}

func TestInputIsNamedOnce(t *testing.T) {
	run(t, "", "render").WantError(t, "name manifests with -f, or the directory of a kustomization with -k")
	run(t, setA, "render", "-f", "-", "-f", "-").WantError(t, "-f -: standard input can be read only once")
}
