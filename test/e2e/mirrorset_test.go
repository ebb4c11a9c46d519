// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a node with Mirrorset", func() {
	var (
		s      *scene
		image  v1.Image
		digest string
	)

	BeforeEach(func(ctx SpecContext) {
		s = newScene(ctx)
		image, digest = newImage(ctx)
	}, setUpTimeout)

	It("starts a Pod from the mirror, with no request to the source", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.mirror.push(ctx, "team/app", image)
		s.apply(ctx, []string{s.mirror.host, s.source.host}, set("20-global", s.source.host, s.mirror.host))
		s.expectPulled(ctx, s.source.host+"/team/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}))
		s.expectUntouched(s.source, s.second)
	}, nodeTimeout)

	It("follows a second set with the next pull, and nothing is restarted for it", func(ctx SpecContext) {
		s.mirror.push(ctx, "copy/app", image)
		s.apply(ctx, []string{s.mirror.host, s.source.host}, set("20-global", s.source.host, s.mirror.host+"/copy"))
		processes, pods := s.processes("containerd", "kubelet"), s.pods(ctx)
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}))

		s.apply(ctx, []string{s.second.host, s.mirror.host, s.source.host}, set("10-site", s.source.host, s.second.host+"/other", s.mirror.host+"/copy"))
		image, digest := newImage(ctx)
		for repository, registry := range map[string]*countedRegistry{"app": s.source, "copy/app": s.mirror, "other/app": s.second} {
			registry.push(ctx, repository, image)
		}
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.second.name}))
		s.expectUntouched(s.source, s.mirror)
		Expect(s.processes("containerd", "kubelet")).To(Equal(processes))
		Expect(s.pods(ctx)).To(Equal(pods))
		AddReportEntry("not restarted", fmt.Sprintf("%v %v", processes, pods), ReportEntryVisibilityAlways)
	}, nodeTimeout)

	It("goes on to the next mirror, and from the last to the source, when a mirror is away", func(ctx SpecContext) {
		s.apply(ctx, []string{s.mirror.host, s.second.host, s.source.host}, set("20-global", s.source.host, s.mirror.host+"/copy", s.second.host+"/other"))
		s.second.push(ctx, "other/app", image)
		s.mirror.stop()
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.second.name}))

		image, digest := newImage(ctx)
		s.source.push(ctx, "app", image)
		s.second.stop()
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.source.name}))
	}, nodeTimeout)

	Describe("under NeverContactSource", func() {
		BeforeEach(func(ctx SpecContext) {
			s.source.push(ctx, "app", image)
			s.apply(ctx, []string{s.mirror.host}, never("30-airgap", s.source.host, s.mirror.host+"/copy"))
		}, setUpTimeout)

		It("takes an image by digest from the mirror", func(ctx SpecContext) {
			s.mirror.push(ctx, "copy/app", image)
			s.expectPulled(ctx, s.source.host+"/app"+digest)
			Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}))
			s.expectUntouched(s.source, s.second)
		}, nodeTimeout)

		It("fails, and never asks the source, when the mirror does not have the image", func(ctx SpecContext) {
			s.expectRefused(ctx, s.source.host+"/app"+digest)
			Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}))
			s.expectUntouched(s.source, s.second)
		}, nodeTimeout)

		It("fails, and never asks the source, when the mirror is away", func(ctx SpecContext) {
			s.mirror.stop()
			s.expectRefused(ctx, s.source.host+"/app"+digest)
			s.expectUntouched(s.source, s.second)
		}, nodeTimeout)

		It("refuses an image by tag, and asks nobody", func(ctx SpecContext) {
			s.source.push(ctx, "closed/app", image)
			s.mirror.push(ctx, "copy/closed/app", image)
			s.expectRefused(ctx, s.source.host+"/closed/app:1")
			s.expectUntouched(s.source, s.mirror, s.second)
		}, nodeTimeout)
	})

	It("takes an image by tag from the source", func(ctx SpecContext) {
		s.source.push(ctx, "tagged/app", image)
		s.apply(ctx, []string{s.mirror.host, s.source.host}, set("20-global", s.source.host, s.mirror.host+"/copy"))
		s.expectPulled(ctx, s.source.host+"/tagged/app:1")
		Expect(s.seen.asked()).To(ContainElement(s.source.name))
	}, nodeTimeout)

	It("has a Podman that follows the same sets", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.mirror.push(ctx, "copy/team/app", image)
		s.apply(ctx, []string{s.mirror.host, s.source.host}, set("20-global", s.source.host, s.mirror.host+"/copy"))
		s.expectPodman(ctx, "/team/app", image, digest)
		s.expectUntouched(s.source, s.second)
	}, nodeTimeout)

	It("says when containerd's configuration has it read nothing, and what to do", func(ctx SpecContext) {
		Expect(s.killPods(ctx, "agent")).To(Succeed()) // whose log may have this from another spec
		s.expectReady(ctx)
		s.apply(ctx, []string{s.mirror.host, s.source.host}, set("20-global", s.source.host, s.mirror.host))
		Expect(s.logsOf(ctx, "agent")).NotTo(Or(ContainSubstring("Containerd"), ContainSubstring("CRIO")), "the node is as it should be")
		config := s.Path("/etc/containerd/config.toml")
		good, err := os.ReadFile(config)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(os.WriteFile, config, good, os.FileMode(0o644))
		put(config, strings.Replace(string(good), `config_path = "/etc/containerd/certs.d"`, `config_path = "/etc/containerd/certs.d:/etc/docker/certs.d"`, 1))
		s.logged(ctx, "agent", "ContainerdConfigPathJoined", "/etc/containerd/config.toml", "systemctl restart containerd")
	}, nodeTimeout)

	It("leaves a registry that somebody else configures to them, and takes it over once they are gone", func(ctx SpecContext) {
		folder := certsDir + "/" + s.source.host
		foreign := fmt.Sprintf("[host.\"http://%s/v2/other\"]\n  capabilities = [\"pull\"]\n  override_path = true\n", s.second.host)
		put(s.Path(folder+"/hosts.toml"), foreign)
		DeferCleanup(os.RemoveAll, s.Path(folder))
		s.apply(ctx, nil, set("20-global", s.source.host, s.mirror.host))
		s.logged(ctx, "agent", "ForeignFolder", "registry "+s.source.host, folder)
		s.second.push(ctx, "other/app", image)
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.second.name}))
		text, err := os.ReadFile(s.Path(folder + "/hosts.toml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(text)).To(Equal(foreign))
		Expect(s.files()).To(HaveLen(1))

		Expect(os.RemoveAll(s.Path(folder))).To(Succeed())
		s.expectFollowed(ctx, []string{s.mirror.host, s.source.host})
	}, nodeTimeout)

	It("has no file of Mirrorset any more once all sets are deleted", func(ctx SpecContext) {
		s.apply(ctx, []string{s.mirror.host}, never("30-airgap", s.source.host, s.mirror.host), set("20-global", s.second.host, s.mirror.host))
		Expect(s.files()).To(HaveLen(3))
		started := time.Now()
		s.deleteSets(ctx)
		reportTime("the node was clean after", started)
		Expect(s.files()).To(BeEmpty())
		s.source.push(ctx, "app", image)
		s.expectPulled(ctx, s.source.host+"/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.source.name}))
	}, nodeTimeout)
})
