// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
)

// importImage gives the node the image of this checkout, under the tag "e2e", unless it has it.
func (m *operator) importImage(ctx context.Context) {
	GinkgoHelper()
	if imported[m.Cluster] {
		return
	}
	Expect(m.Import(ctx, ownImage)).To(Succeed())
	imported[m.Cluster] = true
}

// imported are the clusters whose node has the image of this checkout.
var imported = map[*cluster.Cluster]bool{}

// packImage packs what `make image-programs` built into bin/ of a folder, and returns the archive.
func packImage(ctx context.Context, tag, folder string) (archive string) {
	GinkgoHelper()
	archive = filepath.Join(GinkgoT().TempDir(), "image.tar")
	cmd := exec.CommandContext(ctx, "go", "run", "./hack/image", "-of", "manager", "-name", imageName+":"+tag, "-version", tag, "-revision", "e2e",
		"-root", folder, "-architectures", runtime.GOARCH, "-out", archive)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return archive
}

// readImage returns the image of such an archive.
func readImage(ctx context.Context, archive string) (image v1.Image, digest string) {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	run(exec.CommandContext(ctx, "tar", "-x", "-f", archive, "-C", folder))
	index, err := layout.ImageIndexFromPath(folder)
	Expect(err).NotTo(HaveOccurred())
	for {
		manifest, err := index.IndexManifest()
		Expect(err).NotTo(HaveOccurred())
		Expect(manifest.Manifests).NotTo(BeEmpty())
		first := manifest.Manifests[0]
		if !first.MediaType.IsIndex() {
			image, err = index.Image(first.Digest)
			Expect(err).NotTo(HaveOccurred())
			return image, "@" + first.Digest.String()
		}
		index, err = index.ImageIndex(first.Digest)
		Expect(err).NotTo(HaveOccurred())
	}
}
