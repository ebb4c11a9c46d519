// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/test/conformance"
)

// expectPodman wants that a Podman on the node asks all places, in order, when only the last has the image, and takes it from there; and that
// it asks nobody where the pull is refused. It finds the content of a tag where it found the tag.
func (j *judges) expectPodman(ctx SpecContext, c *conformance.Case) {
	GinkgoHelper()
	places := c.Pull
	if c.CRIO != nil {
		places = c.CRIO.Pull
	}
	image := tinyImage()
	digest, err := image.Digest()
	Expect(err).NotTo(HaveOccurred())
	suffix := "@" + digest.String() // Podman takes no tag beside a digest, and no short names without being told where to look
	if !c.ByDigest() {
		ref, err := mirrors.ParseReference(c.Image)
		Expect(err).NotTo(HaveOccurred())
		suffix = ref.Suffix
	}
	j.pulls++
	if len(places) == 0 {
		j.begin(c.Insecure, image)
		_, err = newPodman.pullOn(ctx, j.Cluster, repositoryOf(c)+suffix, "--retry=0")
		Expect(err).To(HaveOccurred())
		j.expectAsked(nil, nil)
		return
	}
	last := places[len(places)-1]
	j.begin(c.Insecure, image, last)
	id, err := newPodman.pullOn(ctx, j.Cluster, repositoryOf(c)+suffix, "--retry=0")
	Expect(err).NotTo(HaveOccurred())
	want, err := image.ConfigName()
	Expect(err).NotTo(HaveOccurred())
	Expect(strings.TrimSpace(id)).To(Equal(want.Hex))
	asked := once(places)
	for i, place := range asked {
		if place == dialed(last) {
			asked = asked[:i+1]
			break
		}
	}
	if c.ByDigest() {
		j.expectAsked(nil, asked)
	} else {
		j.expectAsked(asked, nil)
	}
}
