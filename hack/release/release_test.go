// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

const changelog = `# Changelog

## [Unreleased]

- Something that is not out yet.

## [0.2.0] - 2026-12-01

- A second thing.

## [0.1.0] - 2026-11-25

### Added

- The first thing.

## [0.0.2]

- Nobody knows when.

## [0.0.1] - 2026-01-01
`

// example is a release whose programs are all the same one, which is built here.
func example(t *testing.T) release {
	t.Helper()
	r := release{
		version:       "v0.1.0",
		time:          time.Date(2026, 11, 25, 4, 13, 0, 0, time.UTC),
		programs:      t.TempDir(),
		platforms:     []platform{{"linux", "amd64"}, {"windows", "arm64"}},
		architectures: []string{"amd64"},
	}
	program := filepath.Join(t.TempDir(), "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "../image")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, path := range r.allPrograms() {
		path = filepath.Join(r.programs, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(program, path); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestFiles(t *testing.T) {
	r := example(t)
	files, err := r.files([]byte("the license"), changelog)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"kubectl-mirrors-linux-amd64.tar.gz", "kubectl-mirrors-windows-arm64.zip", "mirrors.yaml", "mirrorset.cdx.json", "release-notes.md"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Fatalf("the files are %q, want %q", got, want)
	}
	time.Sleep(time.Second) // the resolution of times in archives
	again, err := r.files([]byte("the license"), changelog)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if !bytes.Equal(data, again[name]) {
			t.Errorf("%s is another one the second time", name)
		}
	}
	program, err := os.ReadFile(filepath.Join(r.programs, "linux-amd64/manager"))
	if err != nil {
		t.Fatal(err)
	}
	checkTar(t, files["kubectl-mirrors-linux-amd64.tar.gz"], program, r.time)
	checkZip(t, files["kubectl-mirrors-windows-arm64.zip"], program, r.time)
	checkKrew(t, files)
	checkBOM(t, files["mirrorset.cdx.json"], program)
}

func checkTar(t *testing.T, archive, program []byte, modified time.Time) {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(plain)
	for _, want := range []file{{"kubectl-mirrors", 0o755, program}, {"LICENSE", 0o644, []byte("the license")}} {
		header, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if header.Name != want.name || header.Mode != want.mode || !header.ModTime.Equal(modified) || !bytes.Equal(data, want.data) {
			t.Errorf("%s has mode %o, time %s and %d bytes; want %s with mode %o, time %s and %d bytes",
				header.Name, header.Mode, header.ModTime, len(data), want.name, want.mode, modified, len(want.data))
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("there is more in the archive: %v", err)
	}
}

func checkZip(t *testing.T, archive, program []byte, modified time.Time) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.File) != 2 || r.File[0].Name != "kubectl-mirrors.exe" || r.File[1].Name != "LICENSE" || !r.File[0].Modified.Equal(modified) {
		t.Fatalf("the archive has %+v", r.File)
	}
	if got, err := fileOf(r, "kubectl-mirrors.exe"); err != nil || !bytes.Equal(got, program) {
		t.Errorf("the program in the archive is another one (%v)", err)
	}
}

func fileOf(r *zip.Reader, name string) ([]byte, error) {
	opened, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(opened)
}

func checkKrew(t *testing.T, files map[string][]byte) {
	t.Helper()
	var manifest krewPlugin
	if err := yaml.UnmarshalStrict(files["mirrors.yaml"], &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Metadata.Name != "mirrors" || manifest.Spec.Version != "v0.1.0" || len(manifest.Spec.Platforms) != 2 {
		t.Fatalf("the manifest is %+v", manifest)
	}
	windows := manifest.Spec.Platforms[1]
	sum := sha256.Sum256(files["kubectl-mirrors-windows-arm64.zip"])
	if windows.URI != "https://github.com/mirrorset/mirrorset/releases/download/v0.1.0/kubectl-mirrors-windows-arm64.zip" ||
		windows.SHA256 != hex.EncodeToString(sum[:]) || windows.Bin != "kubectl-mirrors.exe" ||
		!maps.Equal(windows.Selector.MatchLabels, map[string]string{"os": "windows", "arch": "arm64"}) {
		t.Errorf("the manifest says of Windows %+v", windows)
	}
}

func checkBOM(t *testing.T, data, program []byte) {
	t.Helper()
	var document bom
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	refs := make(map[string]component)
	for _, c := range append(document.Components, document.Metadata.Component) {
		if _, twice := refs[c.Ref]; twice {
			t.Errorf("%s is there twice", c.Ref)
		}
		refs[c.Ref] = c
	}
	for _, path := range []string{"linux-amd64/manager", "linux-amd64/agent", "linux-amd64/kubectl-mirrors", "windows-arm64/kubectl-mirrors.exe"} {
		if c := refs[path]; len(c.Hashes) != 1 || c.Hashes[0].Content != hex.EncodeToString(sum[:]) {
			t.Errorf("%s has the hashes %+v", path, c.Hashes)
		}
	}
	for _, d := range document.Dependencies {
		for _, on := range append(d.DependsOn, d.Ref) {
			if _, found := refs[on]; !found {
				t.Errorf("%s depends on %s, which is no component", d.Ref, on)
			}
		}
	}
	stdlib := "pkg:golang/stdlib@" + strings.TrimPrefix(runtime.Version(), "go")
	registry := slices.IndexFunc(document.Components, func(c component) bool { return c.Name == "github.com/google/go-containerregistry" })
	if _, found := refs[stdlib]; !found || registry < 0 {
		t.Errorf("%s or a module that the program is built from is not there: %s", stdlib, data)
	}
	if len(document.Dependencies) != 5 || len(document.Dependencies[1].DependsOn) != len(document.Components)-4 {
		t.Errorf("of each program, not all that it is built from is said: %+v", document.Dependencies)
	}
}

func TestPackageURL(t *testing.T) {
	if got, want := purl("example.com/a/v2", "v2.0.0+incompatible"), "pkg:golang/example.com/a/v2@v2.0.0%2Bincompatible"; got != want {
		t.Errorf("purl is %s, want %s", got, want)
	}
}

func TestNotes(t *testing.T) {
	for version, want := range map[string]string{
		"v0.1.0":      "### Added\n\n- The first thing.\n",
		"v0.2.0":      "- A second thing.\n",
		"v0.3.0-rc.1": "- Something that is not out yet.\n",
	} {
		if got, err := (release{version: version}).notes(changelog); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", version, got, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for version, want := range map[string]string{
		"v0.3.0":      "CHANGELOG.md: v0.3.0 has no section: add ## [0.3.0]",
		"v0.0.2":      "CHANGELOG.md: the section of v0.0.2 has no date: write ## [0.0.2] - YYYY-MM-DD",
		"v0.0.1":      "CHANGELOG.md: the section of v0.0.1 is empty: say what changed",
		"0.1.0":       `version "0.1.0" is not of the form v1.2.3 or v1.2.3-rc.1`,
		"v0.1":        `version "v0.1" is not of the form v1.2.3 or v1.2.3-rc.1`,
		"v0.1.0;true": `version "v0.1.0;true" is not of the form v1.2.3 or v1.2.3-rc.1`,
		"v0.1.0+more": `version "v0.1.0+more" is not of the form v1.2.3 or v1.2.3-rc.1`,
	} {
		_, err := (release{version: version}).files(nil, changelog)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", version, err, want)
		}
	}
}

func TestAReleaseThatOLMWouldForgetIsMissed(t *testing.T) {
	const released = "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n## [0.1.0] - 2026-11-25\n"
	for catalog, want := range map[string]string{
		"entries:\n- name: mirrorset.v0.1.0\n- name: mirrorset.v0.2.0\n  replaces: mirrorset.v0.1.0\n": "",
		"entries:\n- name: mirrorset.v0.1.0-rc.1\n- name: mirrorset.v0.2.0\n  replaces: mirrorset.v0.1.0\n": "has no mirrorset.v0.1.0, which CHANGELOG.md has: " +
			"merge the catalog.yaml of that release into catalog/ (CONTRIBUTING.md)",
	} {
		got := ""
		if err := wantInCatalog(released, catalog); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", catalog, got, want)
		}
	}
}
