// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("containerd through the redirector", func() {
	var (
		s      *site
		image  v1.Image
		digest string
	)

	BeforeEach(func(ctx SpecContext) {
		s = newSite(ctx)
		image, digest = newImage(ctx)
	}, setUpTimeout)

	It("starts a Pod from the mirror of a repository, and another image of that registry from the source", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.first.push(ctx, "copy", image)
		s.apply(ctx, []string{mirrored("0"), "!" + mirrored("1"), `server = "https://` + s.source.host}, set("20-global", s.source.host+"/team/app", s.first.host+"/copy"))
		s.expectPulled(ctx, s.source.host+"/team/app"+digest)
		s.expectAsked(s.first)
		s.expectUntouched(s.source)

		other, digest := newImage(ctx)
		s.source.push(ctx, "team/other", other)
		s.expectPulled(ctx, s.source.host+"/team/other"+digest)
		s.expectAsked(s.source)
	}, nodeTimeout)

	It("takes the mirrors of a namespace before those of its registry", func(ctx SpecContext) {
		for repository, registry := range map[string]*countedRegistry{"team/deep/app": s.source, "all/team/deep/app": s.first, "deep/app": s.second} {
			registry.push(ctx, repository, image)
		}
		s.apply(ctx, []string{mirrored("0")}, set("10-all", s.source.host, s.first.host+"/all"), set("20-deep", s.source.host+"/team/deep", s.second.host+"/deep"))
		s.expectPulled(ctx, s.source.host+"/team/deep/app"+digest)
		s.expectAsked(s.second)

		other, digest := newImage(ctx)
		s.first.push(ctx, "all/team/deeper/app", other)
		s.expectPulled(ctx, s.source.host+"/team/deeper/app"+digest)
		s.expectAsked(s.first)
	}, nodeTimeout)

	It("goes to the source for a carve-out of a blocked registry, and refuses the rest", func(ctx SpecContext) {
		s.source.push(ctx, "free/app", image)
		s.source.push(ctx, "app", image)
		s.apply(ctx, []string{mirrored("0"), mirrored("source")}, never("30-airgap", s.source.host, s.first.host+"/all"), set("40-free", s.source.host+"/free"))
		s.expectPulled(ctx, s.source.host+"/free/app"+digest)
		s.expectAsked(s.source)
		other, digest := newImage(ctx)
		s.source.push(ctx, "app", other)
		s.expectRefusedWith(ctx, s.source.host+"/app"+digest, "NeverContactSource of set 30-airgap", s.first.host+"/all/app: it answered 404 Not Found")
		s.expectUntouched(s.source)
	}, nodeTimeout)

	It("refuses an image of a registry that is blocked as a whole, by digest and by tag", func(ctx SpecContext) {
		s.source.push(ctx, "app", image)
		s.apply(ctx, []string{mirrored("source")}, never("30-airgap", s.source.host, s.first.host+"/all"))
		s.expectRefusedWith(ctx, s.source.host+"/app"+digest, "NeverContactSource of set 30-airgap", s.first.host+"/all/app: it answered 404 Not Found")
		s.expectUntouched(s.source)
		s.expectRefusedWith(ctx, s.source.host+"/app:1", "NeverContactSource of set 30-airgap", "it has no mirror for images by tag")
		s.expectUntouched(s.source, s.first)
	}, nodeTimeout)

	It("resolves a tag at the source, and refuses it where that is blocked", func(ctx SpecContext) {
		s.source.push(ctx, "open/tagged", image)
		s.source.push(ctx, "shut/tagged", image)
		s.first.push(ctx, "shut/tagged", image)
		s.apply(ctx, []string{mirrored("source")}, never("30-airgap", s.source.host+"/shut", s.first.host+"/shut"), set("20-global", s.source.host+"/open", s.second.host+"/open"))
		s.expectPulled(ctx, s.source.host+"/open/tagged:1")
		Expect(s.seen.asked()).To(HaveExactElements(s.source.name, s.second.name), "the content by digest may come from the mirror (N5)")
		s.expectRefusedWith(ctx, s.source.host+"/shut/tagged:1", "NeverContactSource of set 30-airgap", "it has no mirror for images by tag")
		s.expectUntouched(s.source, s.first)
	}, nodeTimeout)

	It("takes the mirrors of a wildcard for a registry without a folder of its own", func(ctx SpecContext) {
		s.scene.apply(ctx, nil, set("20-global", "*.site.test", s.mirror.host+"/nothing", s.mirror.host+"/all"))
		s.mirror.push(ctx, "all/app", image)
		Eventually(s.files).WithContext(ctx).WithTimeout(convergeTimeout).Should(HaveKey(certsDir + "/_default/hosts.toml"))
		// A wildcard is for hosts without a port, and nothing listens on 443 here: only a mirror can have it.
		s.expectPulled(ctx, "source.site.test/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.mirror.name}))
	}, nodeTimeout)

	DescribeTable("goes on to the third mirror when",
		func(ctx SpecContext, namespace, first, second string) {
			s.first.answer, s.second.answer = badAnswers[first], badAnswers[second]
			if first == "refuses the connection" {
				s.first.stop()
			}
			s.third.push(ctx, "c"+strings.TrimPrefix("/team/app", namespace), image)
			s.source.push(ctx, "team/app", image)
			s.apply(ctx, []string{mirrored("2")}, set("20-global", s.source.host+namespace, s.first.host+"/a", s.second.host+"/b", s.third.host+"/c"))
			s.expectPulled(ctx, s.source.host+"/team/app"+digest)
			s.expectUntouched(s.source)
			asked := []*countedRegistry{s.first, s.second, s.third}
			if s.first.down {
				asked = asked[1:]
			}
			s.expectAsked(asked...)
		},
		func(namespace, first, second string) string {
			return "of a " + map[string]string{"": "whole registry", "/team": "namespace"}[namespace] + " the first " + first + " and the second " + second
		},
		Entry(nil, "/team", "404", "500", nodeTimeout),
		Entry(nil, "/team", "refuses the connection", "hangs", nodeTimeout),
		Entry(nil, "/team", "hangs", "404", nodeTimeout),
		Entry(nil, "/team", "has other content", "hangs", nodeTimeout),
		Entry(nil, "/team", "500", "has other content", nodeTimeout),
		Entry(nil, "", "refuses the connection", "hangs", nodeTimeout),
		Entry(nil, "", "has other content", "404", nodeTimeout),
	)

	It("goes on to the next mirror when one that is streamed has other content, layers included", func(ctx SpecContext) {
		s.mirror.answer = badAnswers["has other content"]
		s.second.push(ctx, "b/app", image)
		s.apply(ctx, []string{mirrored("1")}, set("20-global", s.source.host+"/team", s.mirror.host+"/a", s.second.host+"/b"))
		s.expectPulled(ctx, s.source.host+"/team/app"+digest)
		s.expectAsked(s.mirror, s.second)
	}, nodeTimeout)

	DescribeTable("with a mirror that sends containerd on to a blocked source", func(ctx SpecContext, namespace, line string, goes bool) {
		s.first.push(ctx, "copy/team/app", image)
		s.source.push(ctx, "team/app", image)
		s.first.answer = func(w http.ResponseWriter, r *http.Request) bool {
			_, blob, found := strings.Cut(r.URL.Path, "/blobs/")
			if found {
				http.Redirect(w, r, "https://"+s.source.host+"/v2/team/app/blobs/"+blob, http.StatusTemporaryRedirect)
			}
			return found
		}
		s.apply(ctx, []string{line}, never("30-airgap", s.source.host+namespace, s.first.host+"/copy"+namespace))
		if goes {
			s.expectPulled(ctx, s.source.host+"/team/app"+digest)
			s.expectAsked(s.first, s.source)
			return
		}
		s.expectRefusedWith(ctx, s.source.host+"/team/app"+digest, "could not fetch content descriptor")
		s.expectUntouched(s.source)
	},
		Entry("passes it over where the redirector asks it first", "/team", mirrored("0"), false, nodeTimeout),
		Entry("goes there where hosts.toml has the mirror itself", "", "/v2/copy", true, nodeTimeout),
	)

	It("falls back to the source when all mirrors are down, and not where that is blocked", func(ctx SpecContext) {
		s.source.push(ctx, "team/app", image)
		s.source.push(ctx, "shut/app", image)
		s.apply(ctx, []string{mirrored("1"), mirrored("source")},
			set("20-global", s.source.host+"/team", s.first.host+"/a", s.second.host+"/b"), never("30-airgap", s.source.host+"/shut", s.first.host+"/a", s.second.host+"/b"))
		s.first.stop()
		s.second.stop()
		s.expectRefusedWith(ctx, s.source.host+"/shut/app"+digest, "NeverContactSource of set 30-airgap", s.second.host+"/b/app: ", "connection refused")
		s.expectUntouched(s.source)
		s.expectPulled(ctx, s.source.host+"/team/app"+digest)
		s.expectAsked(s.source)
	}, nodeTimeout)

	It("takes a large layer, redirected and streamed", func(ctx SpecContext) {
		const size = 64 << 20
		for _, c := range []struct {
			repository string
			registry   *countedRegistry
		}{{"secure", s.first}, {"insecure", s.mirror}} {
			layer, err := random.Layer(size, types.DockerLayer)
			Expect(err).NotTo(HaveOccurred())
			large, err := mutate.AppendLayers(idleImage, layer)
			Expect(err).NotTo(HaveOccurred())
			hash, err := large.Digest()
			Expect(err).NotTo(HaveOccurred())
			c.registry.push(ctx, "copy/"+c.repository, large)
			s.apply(ctx, []string{mirrored("0")}, set("20-global", s.source.host+"/"+c.repository, c.registry.host+"/copy/"+c.repository))
			s.expectPulled(ctx, s.source.host+"/"+c.repository+"@"+hash.String())
			s.expectAsked(c.registry)
		}
	}, nodeTimeout)

	It("is in force for Podman by the same order", func(ctx SpecContext) {
		s.mirror.push(ctx, "copy/app", image)
		s.apply(ctx, []string{mirrored("1")}, set("20-global", s.source.host+"/team", s.second.host+"/none", s.mirror.host+"/copy"))
		for _, p := range podmans {
			s.seen.forget()
			p.expectPulledOn(ctx, s.Cluster, s.source.host+"/team/app"+digest, image)
			Expect(s.seen.asked()).To(Equal([]string{s.second.name, s.mirror.name}))
		}
		s.expectPulled(ctx, s.source.host+"/team/app"+digest)
		Expect(s.seen.asked()).To(Equal([]string{s.second.name, s.mirror.name}))
	}, nodeTimeout)

	It("leaves a registry closed while the agent is away, and others to their source, or to the mirrors of the whole registry", func(ctx SpecContext) {
		s.source.push(ctx, "shut/app", image)
		s.first.push(ctx, "a/app", image)
		s.apply(ctx, []string{mirrored("source")}, never("30-airgap", s.source.host+"/shut", s.first.host+"/a"), set("20-global", s.third.host+"/team", s.first.host+"/a"),
			never("40-whole", s.second.host, s.first.host+"/b"))
		DeferCleanup(func(ctx SpecContext) { // before the sets are deleted
			s.kubectl(ctx, "label", "node", "--all", "mirrorset.io/agent-")
			s.expectReady(ctx)
		}, cleanUpTimeout)
		s.kubectl(ctx, "label", "node", "--all", "mirrorset.io/agent=disabled")
		s.kubectl(ctx, "wait", "--for=delete", kubectlTimeout, "-n", namespace, "pods", "-l", "app.kubernetes.io/component=agent")
		s.expectRefusedWith(ctx, s.source.host+"/shut/app"+digest, "connection refused")
		s.expectUntouched(s.source, s.first)
		s.third.push(ctx, "team/app", image)
		s.expectPulled(ctx, s.third.host+"/team/app"+digest)
		s.expectAsked(s.third)
		whole, digest := newImage(ctx)
		s.first.push(ctx, "b/app", whole)
		s.expectPulled(ctx, s.second.host+"/app"+digest)
		s.expectAsked(s.first)
		s.second.push(ctx, "closed/app", whole)
		s.expectRefused(ctx, s.second.host+"/closed/app:1")
		s.expectUntouched(s.second)
	}, nodeTimeout)

	It("gets the next agent its image, although that lies behind a blocked part of a registry that is away", func(ctx SpecContext) {
		mirrored, digest := readImage(ctx, packImage(ctx, "e2e-mirrored", "."))
		s.first.push(ctx, "copy/mirrorset", mirrored)
		s.source.stop()
		s.apply(ctx, []string{`/source"`}, never("30-airgap", s.source.host+"/vendor", s.first.host+"/copy"), set("40-free", s.source.host+"/vendor/free"))
		before := s.agents(ctx)
		Expect(before).To(HaveLen(1))
		s.seen.forget()
		reference := s.source.host + "/vendor/mirrorset" + digest
		s.kubectl(ctx, "set", "env", "-n", namespace, "deployment/mirrorset-manager", "RELATED_IMAGE_AGENT="+reference)
		DeferCleanup(func(ctx SpecContext) {
			s.kubectl(ctx, "set", "env", "-n", namespace, "deployment/mirrorset-manager", "RELATED_IMAGE_AGENT-")
			s.expectReady(ctx)
		}, cleanUpTimeout)
		s.kubectl(ctx, "wait", "--for=jsonpath={.spec.template.spec.containers[0].image}="+reference, kubectlTimeout, "-n", namespace, "daemonset/mirrorset-agent")
		s.kubectl(ctx, "rollout", "status", kubectlTimeout, "-n", namespace, "daemonset/mirrorset-agent")
		after := s.agents(ctx)
		Expect(after).To(HaveLen(1))
		Expect(after[0].UID).NotTo(Equal(before[0].UID))
		s.expectAsked(s.first)
		AddReportEntry("the new agent runs", fmt.Sprint(after[0].Status.ContainerStatuses[0].ImageID), ReportEntryVisibilityAlways)
	}, nodeTimeout)
})
