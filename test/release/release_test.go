// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package release makes the parts of a release for OLM with the Makefile, and checks that they name each other by their digests.
package release

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
)

const (
	root    = "../.."
	manager = "ghcr.io/mirrorset/mirrorset@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"
	bundle  = "ghcr.io/mirrorset/mirrorset-bundle"
	created = "2026-11-25T00:00:00Z"
)

// A candidate, and the release after it, with what CONTRIBUTING.md has people commit between them.
func TestTheReleasesForOLM(t *testing.T) {
	c := newCheckout(t)
	first := c.release(t, "v9.9.9-rc.1")
	if got := channelsOf(first, "mirrorset.v9.9.9-rc.1"); !slices.Equal(got, []string{"candidate"}) {
		t.Errorf("the candidate is in the channels %q; want candidate only", got)
	}
	c.commit(t)
	c.make(t, "bundle", "VERSION=v9.9.9-dev") // as `make verify` does of a tree whose default version this is
	second := c.release(t, "v9.9.9")
	if got := channelsOf(second, "mirrorset.v9.9.9"); !slices.Equal(got, []string{"candidate", "fast", "stable"}) {
		t.Errorf("the release is in the channels %q; want all", got)
	}
	for _, channel := range second.Channels {
		if last := channel.Entries[len(channel.Entries)-1]; channel.Name == "candidate" && last.Replaces != "mirrorset.v9.9.9-rc.1" {
			t.Errorf("in candidate the release replaces %q; want the candidate", last.Replaces)
		}
	}
	of := func(r olm.Released) bool { return r.Name == "mirrorset.v9.9.9-rc.1" }
	if i, j := slices.IndexFunc(first.Bundles, of), slices.IndexFunc(second.Bundles, of); i < 0 || j < 0 || first.Bundles[i].Image != second.Bundles[j].Image {
		t.Error("the catalog with the release has another candidate, or none")
	}
}

func channelsOf(c *olm.Catalog, bundle string) (names []string) {
	for _, channel := range c.Channels {
		if slices.ContainsFunc(channel.Entries, func(e olm.Entry) bool { return e.Name == bundle }) {
			names = append(names, channel.Name)
		}
	}
	return names
}

// checkout is a copy of that part of this one which the bundle is made from.
type checkout struct{ dir, bin string }

func newCheckout(t *testing.T) checkout {
	t.Helper()
	bin, err := filepath.Abs(root + "/bin")
	if err != nil {
		t.Fatal(err)
	}
	c := checkout{dir: t.TempDir(), bin: bin}
	for _, folder := range []string{"api", "catalog", "config", "hack"} {
		if err := os.CopyFS(filepath.Join(c.dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"Makefile", "go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(c.dir, file), read(t, filepath.Join(root, file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// make runs a target. What it is made from is generated, and the tools are built.
func (c checkout) make(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", append([]string{"-o", c.bin + "/generated", "-o", c.bin + "/kustomize", "BIN=" + c.bin, "COMMIT=", "SOURCE_DATE_EPOCH=0"}, args...)...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "MAKEFLAGS=") // those of a make that runs the tests
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// release makes what is released of a version, and returns the catalog that has it.
func (c checkout) release(t *testing.T, version string) *olm.Catalog {
	t.Helper()
	before := c.tracked(t)
	c.make(t, "bundle-images", "VERSION="+version, "IMG="+manager, "BUNDLE_IMG="+bundle+":"+version, "CREATED_AT="+created)
	if after := c.tracked(t); !maps.Equal(before, after) {
		t.Errorf("the checkout is changed: it has %q, and had %q", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
	}
	released, digest := c.bundle(t)
	if got := released.CSV.Annotations["createdAt"]; got != created {
		t.Errorf("the bundle was made at %q, want %s", got, created)
	}

	config, files, _ := open(t, filepath.Join(c.dir, "dist/mirrorset-catalog.tar"))
	label := config.Labels["operators.operatorframework.io.index.configs.v1"]
	content := files[strings.TrimPrefix(label, "/")+"/mirrorset/catalog.yaml"]
	if beside := read(t, filepath.Join(c.dir, "dist/catalog.yaml")); content == nil || string(content.Data) != string(beside) {
		t.Fatal("catalog.yaml is not what the catalog's image has where its label says")
	}
	if documented := "\n      catalogDir: " + label + "\n"; !strings.Contains(string(read(t, root+"/docs/how-to/install.md")), documented) {
		t.Errorf("the CatalogSource of docs/how-to/install.md does not have the catalog extracted from %s, where the image's label says that it is", label)
	}
	catalog, err := olm.ReadCatalog(content.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range released.Check() {
		t.Error(err)
	}
	opm := exec.CommandContext(t.Context(), filepath.Join(c.bin, "olm/opm"), "validate", filepath.Join(c.dir, "dist/olm/catalog"))
	if out, err := opm.CombinedOutput(); err != nil {
		t.Errorf("opm refuses the catalog: %v\n%s", err, out)
	}
	i := slices.IndexFunc(catalog.Bundles, func(r olm.Released) bool { return r.Name == released.CSV.Name })
	if want := bundle + "@" + digest; i < 0 || catalog.Bundles[i].Image != want {
		t.Errorf("the catalog does not have %s as %s:\n%s", released.CSV.Name, want, content.Data)
	}
	return catalog
}

// tracked is what is outside of dist/.
func (c checkout) tracked(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.Name() == "dist":
			return fs.SkipDir
		case !entry.IsDir():
			files[path] = string(read(t, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// bundle reads the bundle out of its image, which names the manager's by its digest wherever it does.
func (c checkout) bundle(t *testing.T) (released *olm.Bundle, digest string) {
	t.Helper()
	_, files, digest := open(t, filepath.Join(c.dir, "dist/mirrorset-bundle.tar"))
	checked := fstest.MapFS{}
	images := regexp.MustCompile(`ghcr\.io/mirrorset/mirrorset[:@]\S*`)
	named := 0
	for name, file := range files {
		checked["bundle/"+name] = file
		for _, image := range images.FindAllString(string(file.Data), -1) {
			if named++; image != manager {
				t.Errorf("%s has %s; want %s", name, image, manager)
			}
		}
	}
	if named != 3 {
		t.Errorf("the manager's image is named %d times; want it of the Deployment, in relatedImages and as containerImage", named)
	}
	released, err := olm.Load(checked)
	if err != nil {
		t.Fatal(err)
	}
	return released, digest
}

// commit takes the catalog of the release into the checkout.
func (c checkout) commit(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, olm.CatalogFile), read(t, filepath.Join(c.dir, "dist/catalog.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open reads the one image of an OCI archive, and its digest, which the file beside it has too.
func open(t *testing.T, archive string) (v1.Config, fstest.MapFS, string) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "tar", "-x", "-f", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest := manifest.Manifests[0].Digest
	if beside := string(read(t, strings.TrimSuffix(archive, ".tar")+".digest")); beside != digest.String()+"\n" {
		t.Errorf("the digest of %s is %s, and the file beside it has %s", archive, digest, beside)
	}
	image, err := index.Image(digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config.Config, contentOf(t, image), digest.String()
}

func contentOf(t *testing.T, image v1.Image) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	content := mutate.Extract(image)
	defer func() { _ = content.Close() }()
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			files[header.Name] = &fstest.MapFile{Data: data}
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
