// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// set is the manifest of a set with one entry.
func set(name, source string, mirrors ...string) string {
	return "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata:\n  name: " + name +
		"\nspec:\n  imageDigestMirrors:\n  - source: '" + source + "'\n    mirrors: [" + strings.Join(mirrors, ", ") + "]\n"
}

// never is [set] with the policy NeverContactSource.
func never(name, source string, mirrors ...string) string {
	return set(name, source, mirrors...) + "    mirrorSourcePolicy: NeverContactSource\n"
}

var _ = DescribeTableSubtree("with the registries.conf of kubectl mirrors render,", func(program podman) {
	var (
		seen                   *traffic
		source, mirror, second *countedRegistry
		image                  v1.Image
		digest                 string
	)

	BeforeEach(func() {
		if os.Geteuid() != 0 {
			Fail("root is needed: podman without root wants user namespaces")
		}
		seen = &traffic{}
		source, mirror, second = startRegistry("source", seen), startRegistry("mirror", seen), startRegistry("second mirror", seen)
		var err error
		image, err = random.Image(1024, 1)
		Expect(err).NotTo(HaveOccurred())
		hash, err := image.Digest()
		Expect(err).NotTo(HaveOccurred())
		digest = "@" + hash.String()
	})

	// pull pulls from the source's host and holds what was tried and asked against what explain says.
	pull := func(ctx SpecContext, repositoryAndSuffix string, manifests ...string) pulled {
		GinkgoHelper()
		seen.forget()
		registries := []*countedRegistry{source, mirror, second}
		p := program.pullWithSets(ctx, source.host+"/"+repositoryAndSuffix, []string{source.host, mirror.host, second.host}, manifests...)
		seen.report(registries)
		expectAsExplained(p)
		expectAskedAsTried(seen, registries, p)
		return p
	}

	expectPulled := func(p pulled) {
		GinkgoHelper()
		Expect(p.err).NotTo(HaveOccurred(), p.stderr)
		id, err := image.ConfigName()
		Expect(err).NotTo(HaveOccurred())
		Expect(p.imageID).To(Equal(id.Hex))
	}

	expectUntouched := func(registries ...*countedRegistry) {
		GinkgoHelper()
		for _, r := range registries {
			connections, requests := seen.count(r.name)
			Expect(requests).To(BeZero(), "requests to the %s", r.name)
			Expect(connections).To(BeZero(), "connections to the %s", r.name)
		}
	}

	expectAsked := func(r *countedRegistry) {
		GinkgoHelper()
		_, requests := seen.count(r.name)
		Expect(requests).NotTo(BeZero(), "requests to the %s", r.name)
	}

	It("takes an image by digest from the mirror and leaves the source alone", func(ctx SpecContext) {
		source.push(ctx, "team/app", image)
		mirror.push(ctx, "copy/app", image)
		expectPulled(pull(ctx, "team/app"+digest, set("a", source.host+"/team", mirror.host+"/copy")))
		expectAsked(mirror)
		expectUntouched(source, second)
	}, nodeTimeout)

	It("falls back to the source when the mirror is down", func(ctx SpecContext) {
		source.push(ctx, "team/app", image)
		mirror.stop()
		p := pull(ctx, "team/app"+digest, set("a", source.host+"/team", mirror.host+"/copy"))
		expectPulled(p)
		Expect(p.tried).To(HaveLen(2))
		expectAsked(source)
	}, nodeTimeout)

	It("falls back to the source when the mirror answers nothing but errors", func(ctx SpecContext) {
		source.push(ctx, "team/app", image)
		mirror.failing = true
		expectPulled(pull(ctx, "team/app"+digest, set("a", source.host+"/team", mirror.host+"/copy")))
		Expect(seen.asked()).To(Equal([]string{mirror.name, source.name}))
	}, nodeTimeout)

	It("fails and never asks the source under NeverContactSource when the mirror is down", func(ctx SpecContext) {
		source.push(ctx, "team/app", image)
		mirror.stop()
		p := pull(ctx, "team/app"+digest, never("a", source.host+"/team", mirror.host+"/copy"))
		Expect(p.err).To(HaveOccurred())
		Expect(p.tried).To(HaveExactElements(mirror.host + "/copy/app" + digest))
		Expect(p.refused).To(ConsistOf(source.host + "/team/app" + digest))
		expectUntouched(source, second)
	}, nodeTimeout)

	It("takes an image by digest from the mirror under NeverContactSource", func(ctx SpecContext) {
		source.push(ctx, "team/app", image)
		mirror.push(ctx, "copy/app", image)
		expectPulled(pull(ctx, "team/app"+digest, never("a", source.host+"/team", mirror.host+"/copy")))
		expectUntouched(source, second)
	}, nodeTimeout)

	It("takes an image by tag from the source and leaves the mirror alone", func(ctx SpecContext) {
		source.push(ctx, "team/app", image)
		mirror.push(ctx, "copy/app", image)
		expectPulled(pull(ctx, "team/app:1", set("a", source.host+"/team", mirror.host+"/copy")))
		expectAsked(source)
		expectUntouched(mirror, second)
	}, nodeTimeout)

	It("refuses an image by tag under NeverContactSource and asks nobody", func(ctx SpecContext) {
		source.push(ctx, "team/app", image)
		mirror.push(ctx, "copy/app", image)
		p := pull(ctx, "team/app:1", never("a", source.host+"/team", mirror.host+"/copy"))
		Expect(p.err).To(HaveOccurred())
		Expect(p.refused).To(ConsistOf(source.host + "/team/app:1"))
		expectUntouched(source, mirror, second)
	}, nodeTimeout)

	It("asks the mirrors of two merged sets in order until one has the image", func(ctx SpecContext) {
		source.push(ctx, "team/app", image)
		second.push(ctx, "other/app", image)
		p := pull(ctx, "team/app"+digest,
			set("20-global", source.host+"/team", second.host+"/other"),
			set("10-site", source.host+"/team", mirror.host+"/copy", second.host+"/other"))
		expectPulled(p)
		Expect(p.explained.locations()).To(HaveLen(3))
		Expect(seen.asked()).To(Equal([]string{mirror.name, second.name}))
		expectUntouched(source)
	}, nodeTimeout)

	It("goes to the source for a carve-out inside a broader source", func(ctx SpecContext) {
		source.push(ctx, "team/free/app", image)
		mirror.push(ctx, "copy/free/app", image)
		p := pull(ctx, "team/free/app"+digest, set("a", source.host+"/team", mirror.host+"/copy"), set("b", source.host+"/team/free"))
		expectPulled(p)
		Expect(p.explained.Source).To(Equal(source.host + "/team/free"))
		expectAsked(source)
		expectUntouched(mirror, second)
	}, nodeTimeout)

	Describe("with a namespace inside a registry", func() {
		manifests := func() []string {
			return []string{set("a", source.host, mirror.host+"/all"), set("b", source.host+"/team/deep", second.host+"/deep")}
		}

		It("uses the mirrors of the namespace only for what is in it", func(ctx SpecContext) {
			source.push(ctx, "team/deep/app", image)
			mirror.push(ctx, "all/team/deep/app", image)
			second.push(ctx, "deep/app", image)
			expectPulled(pull(ctx, "team/deep/app"+digest, manifests()...))
			expectAsked(second)
			expectUntouched(source, mirror)
		}, nodeTimeout)

		It("uses the mirrors of the registry for a name that only begins like the namespace", func(ctx SpecContext) {
			source.push(ctx, "team/deeper/app", image)
			mirror.push(ctx, "all/team/deeper/app", image)
			expectPulled(pull(ctx, "team/deeper/app"+digest, manifests()...))
			expectAsked(mirror)
			expectUntouched(source, second)
		}, nodeTimeout)
	})
},
	Entry("the Podman of today", newPodman),
	Entry("Debian's, the oldest one,", oldPodman),
)

// expectAsExplained holds what podman tried against the pull sources that explain names: in their order up to the one that
// served, or, when none did, all of them as often as podman tries again.
func expectAsExplained(p pulled) {
	GinkgoHelper()
	want := p.explained.locations()
	if p.err == nil {
		Expect(p.tried).NotTo(BeEmpty())
		Expect(len(p.tried)).To(BeNumerically("<=", len(want)), "tried %q, explained %q", p.tried, want)
		Expect(p.tried).To(Equal(want[:len(p.tried)]))
		return
	}
	if p.explained.Blocked {
		Expect(p.refused).NotTo(BeEmpty())
	} else {
		Expect(p.refused).To(BeEmpty())
	}
	if len(want) == 0 {
		Expect(p.tried).To(BeEmpty())
		return
	}
	Expect(p.tried).NotTo(BeEmpty())
	for attempt := range slices.Chunk(p.tried, len(want)) {
		Expect(attempt).To(Equal(want))
	}
}

// expectAskedAsTried holds the order in which the registries were asked against what podman says it tried. A registry that
// is down cannot tell.
func expectAskedAsTried(seen *traffic, registries []*countedRegistry, p pulled) {
	GinkgoHelper()
	asked := seen.asked()
	want := []string{}
	for _, location := range p.tried {
		host, _, _ := strings.Cut(location, "/")
		at := slices.IndexFunc(registries, func(r *countedRegistry) bool { return r.host == host })
		Expect(at).NotTo(Equal(-1), "%s is none of the registries", host)
		if r := registries[at]; !r.down && !slices.Contains(want, r.name) {
			want = append(want, r.name)
		}
	}
	Expect(asked).To(Equal(want))
}
