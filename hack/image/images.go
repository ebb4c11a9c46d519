// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"sigs.k8s.io/yaml"
)

// source is what images are made from: a folder with what was built and generated, and what a label says of the programs in it.
type source struct {
	root, version, revision string
}

// recipe is what is in an image, and how it is run.
type recipe struct {
	files  fstest.MapFS
	config v1.Config
}

// recipes are the images that there are, by name. The manager's is another one for each architecture.
var recipes = map[string]func(s source, arch string) (recipe, error){
	"manager": source.manager,
	"bundle":  source.bundle,
	"catalog": source.catalog,
}

// manager is the image with the manager and the agent, as the Dockerfile has it too.
func (s source) manager(arch string) (recipe, error) {
	r := recipe{files: fstest.MapFS{}, config: v1.Config{
		User:       "65532:65532",
		Entrypoint: []string{"/manager"},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "mirrorset",
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.source":   "https://github.com/mirrorset/mirrorset",
			"org.opencontainers.image.version":  s.version,
			"org.opencontainers.image.revision": s.revision,
		},
	}}
	for _, program := range []string{"manager", "agent"} {
		if err := take(r.files, filepath.Join(s.root, "bin", "linux-"+arch), program, "."); err != nil {
			return recipe{}, err
		}
	}
	return r, nil
}

// bundle is the image with the OLM bundle. Its labels say what the bundle says of itself.
func (s source) bundle(string) (recipe, error) {
	text, err := os.ReadFile(filepath.Join(s.root, "bundle/metadata/annotations.yaml"))
	if err != nil {
		return recipe{}, err
	}
	var said struct{ Annotations map[string]string }
	if err := yaml.UnmarshalStrict(text, &said); err != nil {
		return recipe{}, fmt.Errorf("bundle/metadata/annotations.yaml: %w", err)
	}
	r := recipe{files: fstest.MapFS{}, config: v1.Config{Labels: said.Annotations}}
	return r, take(r.files, filepath.Join(s.root, "bundle"), ".", ".")
}

// catalog is the image with the catalog that OLM is offered. It holds no server: OLM brings its own for a CatalogSource with
// spec.grpcPodConfig.extractContent, and OLM v1 reads the catalog as it is.
func (s source) catalog(string) (recipe, error) {
	r := recipe{files: fstest.MapFS{}, config: v1.Config{Labels: map[string]string{"operators.operatorframework.io.index.configs.v1": "/configs"}}}
	return r, take(r.files, filepath.Join(s.root, "catalog"), ".", "configs")
}

// take adds what is at a path of a folder to files, in a place of its own. Apart from the content, only one
// property of a file counts: if it is a program. The others differ between machines.
func take(files fstest.MapFS, folder, from, to string) error {
	return fs.WalkDir(os.DirFS(folder), from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		taken := &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		files[path.Join(to, name)] = taken
		if entry.IsDir() {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		taken.Mode = 0o644
		if info.Mode()&0o100 != 0 {
			taken.Mode = 0o755
		}
		taken.Data, err = os.ReadFile(filepath.Join(folder, name))
		return err
	})
}
