// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Command image writes what the Dockerfile describes as an OCI archive, with one image an architecture, and needs no
// container engine. The same programs give the same bytes.
package main

import (
	"archive/tar"
	"bytes"
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
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	programs := flag.String("programs", "bin", "folder with linux-ARCH/manager and linux-ARCH/agent")
	name := flag.String("name", "", "full name of the image, with its tag")
	architectures := flag.String("architectures", "amd64,arm64", "architectures, separated by commas")
	version := flag.String("version", "", "version for the image's labels")
	revision := flag.String("revision", "", "commit for the image's labels")
	out := flag.String("out", "", "the archive to write")
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
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range architectures {
		image, err := build(filepath.Join(programs, "linux-"+arch), arch, labels)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
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
	return archive(dir, out)
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
