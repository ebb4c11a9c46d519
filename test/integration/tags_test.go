// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// tagSet creates a set for tags.
func tagSet(ctx context.Context, name string, entries ...configv1.ImageTagMirrors) *configv1.ImageTagMirrorSet {
	GinkgoHelper()
	s := newTagSet(name, entries...)
	Expect(admin.Create(ctx, s)).To(Succeed())
	return s
}

// newTagSet returns one that is not yet created.
func newTagSet(name string, entries ...configv1.ImageTagMirrors) *configv1.ImageTagMirrorSet {
	s := &configv1.ImageTagMirrorSet{}
	s.Name, s.Spec.ImageTagMirrors = name, entries
	return s
}

// format is that of what is published.
func format(ctx context.Context) string {
	GinkgoHelper()
	cm, err := configMap(ctx)
	Expect(err).NotTo(HaveOccurred())
	return cm.Annotations[payload.FormatAnnotation]
}

var _ = Describe("An ImageTagMirrorSet", func() {
	tagged := configv1.ImageTagMirrors{Source: "quay.io", Mirrors: []configv1.ImageMirror{"t1.local/q"}, MirrorSourcePolicy: configv1.NeverContactSource}

	It("is in force beside its twin, says so, and goes", func(ctx SpecContext) {
		n := startNode(ctx)
		digests := set("a", entry("quay.io/team", "d1.local/team"))
		create(ctx, digests)
		n.wantRules(digests)
		Expect(format(ctx)).To(Equal("1"))

		tags := tagSet(ctx, "a", tagged)
		Eventually(n.rules).Should(SatisfyAll(
			ContainSubstring("# itms/a, blocked by itms/a\n[[registry]]\nlocation = \"quay.io\"\nblocked = true\n\n[[registry.mirror]]\nlocation = \"t1.local/q\"\npull-from-mirror = \"tag-only\""),
			ContainSubstring("# a, itms/a, blocked by itms/a\n[[registry]]\nlocation = \"quay.io/team\"\nblocked = true\n\n[[registry.mirror]]\nlocation = \"d1.local/team\"\npull-from-mirror = \"digest-only\"\n\n"+
				"[[registry.mirror]]\nlocation = \"t1.local/q/team\"\npull-from-mirror = \"tag-only\"")))
		Expect(format(ctx)).To(Equal("2"))
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(tags), tags)).To(Succeed())
			applied := meta.FindStatusCondition(tags.Status.Conditions, configv1.ConditionApplied)
			g.Expect(applied).NotTo(BeNil())
			g.Expect(applied.Reason).To(Equal(configv1.ReasonAppliedOnAllNodes))
			g.Expect(tags.Status.Findings).To(ContainElement(HaveField("Reason", "PolicyConflict")))
		}).Should(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(digests), digests)).To(Succeed())
			g.Expect(digests.Status.Findings).To(ContainElement(HaveField("Reason", "PolicyConflict")))
		}).Should(Succeed())

		Expect(admin.Delete(ctx, tags)).To(Succeed())
		n.wantRules(digests)
		Expect(format(ctx)).To(Equal("1"))
	})

	It("stays in force when its CRD is deleted, and digest sets wait with it", func(ctx SpecContext) {
		DeferCleanup(func(ctx SpecContext) { Expect(plane.InstallAll(ctx)).To(Succeed()) })
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		digests := set("d", entry("ghcr.io", "m1.local"))
		create(ctx, digests)
		tagSet(ctx, "t", tagged)
		Eventually(n.rules).Should(ContainSubstring("tag-only"))
		before, err := n.rules()
		Expect(err).NotTo(HaveOccurred())
		lost := n.guard()

		laid(manager)
		deleteCRD(ctx, kinds.Tag)
		Eventually(manager.Log).Should(ContainSubstring("the CRD of ImageTagMirrorSet is missing"))
		create(ctx, set("e", entry("docker.io", "m1.local")))
		Consistently(n.rules, "2s").Should(Equal(before))
		Expect(plane.InstallAll(ctx)).To(Succeed())
		Eventually(manager.Log).Should(ContainSubstring("the CRD of ImageTagMirrorSet was replaced and has no sets"))
		Consistently(n.rules, "2s").Should(Equal(before))
		Expect(lost()).To(BeEmpty())

		tagSet(ctx, "t", tagged)
		Eventually(n.rules).Should(SatisfyAll(ContainSubstring("tag-only"), ContainSubstring("docker.io")))
	})
})
