// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// PausePackage is a program that waits for a signal to end, for images that only need to run.
const PausePackage = "github.com/mirrorset/mirrorset/test/cluster/pause"

// PauseImage is an image of it that the node has from the start, for the sandbox of every Pod. No registry has it.
const PauseImage = "mirrorset.test/pause:1"

// NewImage builds a Go package and returns an image that is nothing but this one static program.
func NewImage(ctx context.Context, goPackage string) (_ v1.Image, err error) {
	folder, err := os.MkdirTemp("", "mirrorset-image-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	program := filepath.Join(folder, "program")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, goPackage)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w\n%s", goPackage, err, out)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	return imageOf(content)
}

func imageOf(program []byte) (v1.Image, error) {
	var archive bytes.Buffer
	files := tar.NewWriter(&archive)
	err := files.WriteHeader(&tar.Header{Name: "program", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = files.Write(program)
	}
	if err := errors.Join(err, files.Close()); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	base, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{"/program"}},
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(base, layer)
}

// Import gives the node the images of an archive as `docker save` or an OCI layout has it, without any registry.
func (c *Cluster) Import(ctx context.Context, archive string) error {
	content, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	_, err = c.exec(ctx, content, "ctr", "--namespace", "k8s.io", "images", "import", "-")
	return err
}

// ImportImage gives the node one image under a name with a tag.
func (c *Cluster) ImportImage(ctx context.Context, reference string, image v1.Image) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	archive := c.path("import.tar")
	err = tarball.WriteToFile(archive, tag, image)
	if err == nil {
		err = c.Import(ctx, archive)
	}
	return errors.Join(err, os.RemoveAll(archive))
}

// importPause waits for containerd and gives it the image of the sandboxes.
func (c *Cluster) importPause(ctx context.Context) error {
	image, err := NewImage(ctx, PausePackage)
	if err != nil {
		return err
	}
	if err := c.await(ctx, containerd); err != nil {
		return err
	}
	return c.ImportImage(ctx, PauseImage, image)
}
