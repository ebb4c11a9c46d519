// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Pods whose image is named by tag", func() {
	var (
		s      *site
		image  v1.Image
		digest string
	)

	BeforeEach(func(ctx SpecContext) {
		s = newSite(ctx)
		image, digest = newImage(ctx)
	}, setUpTimeout)

	It("start from the mirror for tags of a namespace, and from the source elsewhere", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0"), "resolve"}, tagSet("20-tags", s.source.host+"/team", s.first.host+"/copy"))
		s.expectPulledFrom(ctx, s.source.host+"/team/app:1", s.first)
		s.expectUntouched(s.source)

		other, _ := newImage(ctx)
		s.source.push(ctx, "other/app", other)
		s.expectPulledFrom(ctx, s.source.host+"/other/app:1", s.source)
	}, nodeTimeout)

	It("leave an image by digest to the source", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0")}, tagSet("20-tags", s.source.host+"/team", s.first.host+"/copy"))
		s.expectPulledFrom(ctx, s.source.host+"/team/app"+digest, s.source)
	}, nodeTimeout)

	It("start from the mirror for tags of a wildcard", func(ctx SpecContext) {
		s.scene.apply(ctx, nil, tagSet("20-tags", "*.site.test", s.first.host+"/nothing", s.second.host+"/all"))
		s.second.push(ctx, "all/tagged", image)
		Eventually(s.files).WithContext(ctx).WithTimeout(convergeTimeout).Should(HaveKey(certsDir + "/_default/hosts.toml"))
		// A wildcard is for hosts without a port, and nothing listens on 443 here: only a mirror can have it.
		s.expectPulledFrom(ctx, "source.site.test/tagged:1", s.first, s.second)
	}, nodeTimeout)

	It("start where a registry has the same mirrors for both kinds", func(ctx SpecContext) {
		s.second.push(ctx, "all/team/app", image)
		s.apply(ctx, []string{mirrored("1"), s.second.host + "/v2/all"}, never("30-airgap", s.source.host, s.first.host+"/all", s.second.host+"/all"),
			tagSet("30-airgap", s.source.host, s.first.host+"/all", s.second.host+"/all"))
		s.expectPulledFrom(ctx, s.source.host+"/team/app:1", s.first, s.second)
		s.expectUntouched(s.source)
	}, nodeTimeout)

	It("are refused where the source is blocked and all mirrors for tags are down, with no request to the source", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.third.push(ctx, "digests/app", image)
		s.apply(ctx, []string{mirrored("1"), mirrored("source")}, tagNever("30-airgap", s.source.host+"/team", s.first.host+"/a", s.second.host+"/b"),
			set("30-airgap", s.source.host+"/team", s.third.host+"/digests"))
		s.first.stop()
		s.second.stop()
		s.expectRefusedWith(ctx, s.source.host+"/team/app:1", "NeverContactSource", s.second.host+"/b/app: ", "connection refused")
		s.reportAll()
		s.expectUntouched(s.source, s.third)
	}, nodeTimeout)

	It("follow a tag that moved on the mirror where they ask always", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0")}, tagNever("30-airgap", s.source.host+"/team", s.first.host+"/copy"))
		s.expectAlways(ctx, s.source.host+"/team/app:1", digest)
		s.expectAsked(s.first)
		moved, movedDigest := newImage(ctx)
		s.first.push(ctx, "copy/app", moved)
		s.expectAlways(ctx, s.source.host+"/team/app:1", movedDigest)
		s.expectAsked(s.first)
		s.expectUntouched(s.source)
	}, nodeTimeout)

	It("start from an index for several machines, all of which comes from where the tag was found", func(ctx SpecContext) {
		s.second.pushIndex(ctx, "copy/many", image)
		s.apply(ctx, []string{mirrored("0")}, tagNever("30-airgap", s.source.host+"/team", s.second.host+"/copy"), set("30-airgap", s.source.host+"/team", s.first.host+"/none"))
		s.expectPulledFrom(ctx, s.source.host+"/team/many:1", s.second, s.first)
		s.expectUntouched(s.source, s.third)
	}, nodeTimeout)

	It("start from the second mirror where the first lacks the tag", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.second.push(ctx, "b/app", image)
		s.apply(ctx, []string{mirrored("1")}, tagSet("20-tags", s.source.host+"/team", s.first.host+"/a", s.second.host+"/b"))
		s.expectPulledFrom(ctx, s.source.host+"/team/app:1", s.first, s.second)
		s.expectUntouched(s.source)
	}, nodeTimeout)

	It("start from the second mirror where the first has the tag and dies before the layers", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.first.push(ctx, "a/app", image)
		s.second.push(ctx, "b/app", image)
		s.apply(ctx, []string{mirrored("1")}, tagNever("30-airgap", s.source.host+"/team", s.first.host+"/a", s.second.host+"/b"))
		dieAfterTag(s.first)
		s.expectPulledFrom(ctx, s.source.host+"/team/app:1", s.first, s.second)
		s.expectUntouched(s.source)
	}, nodeTimeout)

	It("start from a mirror that gives a token to everybody", func(ctx SpecContext) {
		atMirror, atTokens := s.wantToken(s.first, true)
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0")}, tagNever("30-airgap", s.source.host+"/team", s.first.host+"/copy"))
		s.expectPulledFrom(ctx, s.source.host+"/team/app:1", s.first)
		s.expectUntouched(s.source)
		Expect(atTokens.all()).To(HaveEach(""))
		Expect(atTokens.all()).NotTo(BeEmpty())
		Expect(atMirror.all()).To(ContainElement("Bearer let-me-in"))
	}, nodeTimeout)

	It("start beside Pods by digest of the same repository, each from its own mirror", func(ctx SpecContext) {
		named, namedDigest := newImage(ctx)
		for _, i := range []v1.Image{image, named} {
			s.source.push(ctx, "team/app", i)
		}
		s.first.push(ctx, "t/app", image)
		s.second.push(ctx, "d/app", named)
		s.apply(ctx, []string{mirrored("0")}, tagSet("20-tags", s.source.host+"/team", s.first.host+"/t"), set("20-digests", s.source.host+"/team", s.second.host+"/d"))
		s.seen.forget()
		byTag := createPod(ctx, s.Cluster, s.source.host+"/team/app:1", true)
		byDigest := createPod(ctx, s.Cluster, s.source.host+"/team/app"+namedDigest, true)
		Expect(expectRunning(ctx, s.Cluster, byTag).Status.ContainerStatuses[0].ImageID).To(HaveSuffix(digest))
		Expect(expectRunning(ctx, s.Cluster, byDigest).Status.ContainerStatuses[0].ImageID).To(HaveSuffix(namedDigest))
		s.reportAll()
		Expect(s.seen.asked()).To(ConsistOf(s.first.name, s.second.name))
	}, nodeTimeout)

	It("start although the agent is killed between the tag and the layers, with no request to the source", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.first.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("0")}, tagNever("30-airgap", s.source.host+"/team", s.first.host+"/copy"))
		asked, release := holdContent(s.first)
		s.seen.forget()
		pod := createPod(ctx, s.Cluster, s.source.host+"/team/app:1", true)
		Eventually(asked).WithContext(ctx).WithTimeout(convergeTimeout).Should(BeClosed())
		Expect(s.killProcess(ctx, "agent")).To(Succeed())
		release()
		started := time.Now()
		expectRunning(ctx, s.Cluster, pod)
		reportTime("the Pod was Ready after the agent was killed", started)
		s.reportAll()
		s.expectAsked(s.first)
		s.expectUntouched(s.source)
		s.expectReady(ctx)
	}, nodeTimeout)

	It("have a Podman beside them that follows the same sets", func(ctx SpecContext) {
		s.mirror.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("1")}, tagNever("30-airgap", s.source.host+"/team", s.scene.second.host+"/none", s.mirror.host+"/copy"))
		for _, p := range podmans {
			s.seen.forget()
			p.expectPulledOn(ctx, s.Cluster, s.source.host+"/team/app:1", image)
			Expect(s.seen.asked()).To(Equal([]string{s.scene.second.name, s.mirror.name}))
		}
	}, nodeTimeout)
})
