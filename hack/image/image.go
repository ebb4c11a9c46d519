// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// source is what an image is made from: a Dockerfile's text, the folder that it copies from, and the values of its arguments.
type source struct {
	dockerfile, context string
	arguments           map[string]string
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

// buildIndex returns one image an architecture, which the Dockerfile has as TARGETARCH.
func (s source) buildIndex(architectures []string) (v1.ImageIndex, error) {
	all := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	list := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, arch := range architectures {
		one := s
		one.arguments = maps.Clone(s.arguments)
		one.arguments["TARGETARCH"] = arch
		image, err := one.build(arch)
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
func (s source) build(arch string) (v1.Image, error) {
	r, err := readDockerfile(s.dockerfile, s.arguments)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, c := range r.copies {
		if err := makeParents(w, c.to); err != nil {
			return nil, err
		}
		for _, from := range c.from {
			if err := pack(w, filepath.Join(s.context, from), c.to); err != nil {
				return nil, err
			}
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
	config.OS, config.Architecture, config.Config = "linux", arch, r.config
	return mutate.ConfigFile(image, config)
}

// makeParents adds the folders above a target, which COPY makes as well.
func makeParents(w *tar.Writer, to string) error {
	parent := path.Dir(path.Clean(to))
	if parent == "/" || parent == "." {
		return nil
	}
	if err := makeParents(w, parent); err != nil {
		return err
	}
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(parent, "/") + "/", Mode: 0o755, Format: tar.FormatPAX})
}

// pack copies a file, or what is in a folder, as COPY does. Of what the disk has beside the content, only whether a file is a program
// counts, because the rest is another one on another machine.
func pack(w *tar.Writer, from, to string) error {
	return filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		name := path.Join(to, filepath.ToSlash(below))
		if file == from && !entry.IsDir() && strings.HasSuffix(to, "/") {
			name = path.Join(to, entry.Name())
		}
		header := &tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: 0o644, Format: tar.FormatPAX}
		if entry.IsDir() {
			header.Typeflag, header.Name, header.Mode = tar.TypeDir, header.Name+"/", 0o755
			return w.WriteHeader(header)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode()&0o100 != 0 {
			header.Mode = 0o755
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		header.Size = int64(len(data))
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
}
