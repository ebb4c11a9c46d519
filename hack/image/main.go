// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command image writes what the Dockerfile describes as an OCI archive, with one image an architecture, and needs no
// container engine, and the digest that registries will know it by. The same programs give the same bytes.
package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	programs := flag.String("programs", "bin", "folder with linux-ARCH/manager and linux-ARCH/agent")
	name := flag.String("name", "", "full name of the image, with its tag")
	architectures := flag.String("architectures", "amd64,arm64", "architectures, separated by commas")
	version := flag.String("version", "", "version for the image's labels")
	revision := flag.String("revision", "", "commit for the image's labels")
	out := flag.String("out", "", "the archive to write; the digest goes to the same name with .digest for .tar")
	flag.Parse()
	labels := map[string]string{
		"org.opencontainers.image.title":    "mirrorset",
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.source":   "https://github.com/mirrorset/mirrorset",
		"org.opencontainers.image.version":  *version,
		"org.opencontainers.image.revision": *revision,
	}
	if err := run(*programs, *name, strings.Split(*architectures, ","), labels, *out); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(programs, name string, architectures []string, labels map[string]string, out string) (err error) {
	index, err := buildIndex(programs, architectures, labels)
	if err != nil {
		return err
	}
	sum, err := index.Digest()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mirrorset-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	written, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	// The first annotation names the image for OCI tools, the second for containerd's import.
	err = written.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": name,
		"io.containerd.image.name":          name,
	}))
	if err != nil {
		return err
	}
	if err := archive(dir, out); err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(out, ".tar")+".digest", []byte(sum.String()+"\n"), 0o644)
}

// index is an image of several architectures. Its text is as the OCI's own Go types write it: tools that write an index
// anew as they copy it, as skopeo does, give it the same digest then.
type index struct {
	images
	text []byte
}

type images = v1.ImageIndex // whose name is that of a method too

func (i index) RawManifest() ([]byte, error) { return i.text, nil }
func (i index) Digest() (v1.Hash, error)     { return partial.Digest(i) }
func (i index) Size() (int64, error)         { return partial.Size(i) }

func buildIndex(programs string, architectures []string, labels map[string]string) (v1.ImageIndex, error) {
	all := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	list := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, arch := range architectures {
		image, err := build(filepath.Join(programs, "linux-"+arch), arch, labels)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arch, err)
		}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: image})
		described, err := partial.Descriptor(image)
		if err != nil {
			return nil, err
		}
		list.Manifests = append(list.Manifests, ocispec.Descriptor{
			MediaType: string(described.MediaType), Digest: digest.Digest(described.Digest.String()), Size: described.Size,
			Platform: &ocispec.Platform{OS: "linux", Architecture: arch},
		})
	}
	text, err := json.Marshal(list)
	return index{images: all, text: text}, err
}

// build returns the image of one architecture.
func build(programs, arch string, labels map[string]string) (v1.Image, error) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, program := range []string{"manager", "agent"} {
		data, err := os.ReadFile(filepath.Join(programs, program))
		if err != nil {
			return nil, err
		}
		err = w.WriteHeader(&tar.Header{Name: program, Mode: 0o755, Size: int64(len(data)), Format: tar.FormatPAX})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture = "linux", arch
	config.Config = v1.Config{User: "65532:65532", Entrypoint: []string{"/manager"}, Labels: labels}
	return mutate.ConfigFile(image, config)
}

// archive packs an OCI layout into one file.
func archive(dir, out string) (err error) {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := tar.NewWriter(file)
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	return errors.Join(err, w.Close())
}
