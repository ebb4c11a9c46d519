// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The Dockerfile says again what hack/image makes, and podman judges the two.
var _ = It("an image that make writes is the one that podman builds of the Dockerfile", func(ctx SpecContext) {
	folder := GinkgoT().TempDir()
	put(filepath.Join(folder, "registries.conf"), "")
	hack := exec.CommandContext(ctx, "go", "run", "./hack/image", "-of", "manager", "-name", "image:ours", "-version", "v1", "-revision", "abc",
		"-architectures", runtime.GOARCH, "-out", filepath.Join(folder, "ours.tar"))
	hack.Dir = "../.."
	run(hack)
	run(newPodman.in(ctx, folder, "build", "--file", "../../Dockerfile", "--tag", "image:theirs",
		"--build-arg", "TARGETARCH="+runtime.GOARCH, "--build-arg", "VERSION=v1", "--build-arg", "REVISION=abc", "../.."))
	run(newPodman.in(ctx, folder, "save", "--format", "oci-archive", "--output", filepath.Join(folder, "theirs.tar"), "image:theirs"))

	want, content := describeImage(ctx, filepath.Join(folder, "theirs.tar"))
	delete(want.Labels, "io.buildah.version")
	got, held := describeImage(ctx, filepath.Join(folder, "ours.tar"))
	Expect(held).To(Equal(content))
	Expect(held).NotTo(BeEmpty())
	Expect([]any{got.Labels, got.User, got.Entrypoint}).To(Equal([]any{want.Labels, want.User, want.Entrypoint}))
}, nodeTimeout)

// describeImage returns the configuration of an archive's image, and what it holds: owners, modes and content by name.
func describeImage(ctx SpecContext, archive string) (v1.Config, map[string]string) {
	GinkgoHelper()
	image, _ := readImage(ctx, archive)
	config, err := image.ConfigFile()
	Expect(err).NotTo(HaveOccurred())
	content := mutate.Extract(image)
	defer func() { _ = content.Close() }()
	held := map[string]string{}
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return config.Config, held
		}
		Expect(err).NotTo(HaveOccurred())
		data, err := io.ReadAll(r)
		Expect(err).NotTo(HaveOccurred())
		held[filepath.Clean(header.Name)] = fmt.Sprintf("%d:%d %o %c %x", header.Uid, header.Gid, header.Mode&0o7777, header.Typeflag, sha256.Sum256(data))
	}
}
