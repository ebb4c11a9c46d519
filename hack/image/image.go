// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

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

// addImage adds the image of one architecture to a layout. An image for every architecture has to name one too, and is no list for a
// few, in which nodes of all others would find nothing: runtimes look for theirs in lists only.
func addImage(to layout.Path, from source, of, arch string) (*v1.Descriptor, error) {
	r, err := recipes[of](from, arch)
	if err != nil {
		return nil, err
	}
	content, err := pack(r.files)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, tarball.WithMediaType(types.OCILayer))
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
	config.OS, config.Architecture, config.Config = "linux", cmp.Or(arch, "amd64"), r.config
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, err
	}
	if err := to.WriteImage(image); err != nil {
		return nil, err
	}
	return partial.Descriptor(image)
}

// addIndex adds an image of several architectures to a layout. Its text is as the OCI's own Go types write it: a tool that
// writes the index again as it copies it, as Skopeo does, then gives it the same digest.
func addIndex(to layout.Path, from source, of string, architectures []string) (*v1.Descriptor, error) {
	list := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, arch := range architectures {
		image, err := addImage(to, from, of, arch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arch, err)
		}
		list.Manifests = append(list.Manifests, ocispec.Descriptor{
			MediaType: string(image.MediaType), Digest: digest.Digest(image.Digest.String()), Size: image.Size,
			Platform: &ocispec.Platform{OS: "linux", Architecture: arch},
		})
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	sum, size, err := v1.SHA256(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	described := &v1.Descriptor{MediaType: types.OCIImageIndex, Digest: sum, Size: size}
	return described, to.WriteBlob(sum, io.NopCloser(bytes.NewReader(text)))
}

// pack makes a tar of files.
func pack(files fs.FS) ([]byte, error) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	err := errors.Join(w.AddFS(files), w.Close())
	return content.Bytes(), err
}
