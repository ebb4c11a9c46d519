// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// deleteCRD returns once the CRD of a kind, and with it every set, is gone.
func deleteCRD(ctx context.Context, kind *kinds.Kind) {
	GinkgoHelper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	crd.Name = kind.CRDName()
	Expect(admin.Delete(ctx, crd)).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(admin.Get(ctx, types.NamespacedName{Name: crd.Name}, crd))
	}).Should(BeTrue())
}

// laid waits until a manager brings no more CRDs: a manager that has just started creates missing ones again.
func laid(manager *controlplane.Process) {
	GinkgoHelper()
	Eventually(manager.Log).Should(ContainSubstring("The CRDs and the admission policies exist"))
}

var _ = Describe("A CRD that is deleted", func() {
	BeforeEach(func() {
		DeferCleanup(func(ctx SpecContext) { Expect(plane.InstallAll(ctx)).To(Succeed()) })
	})

	It("changes nothing on the nodes until all sets are back, and these are followed at once", func(ctx SpecContext) {
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		sets := func() (a, b *configv1.ImageDigestMirrorSet) {
			a, b = set("a", entry("quay.io", "m1.local")), set("b", entry("ghcr.io", "m1.local"))
			a.Spec.ImageDigestMirrors[0].MirrorSourcePolicy = "NeverContactSource"
			return a, b
		}
		a, b := sets()
		create(ctx, a, b)
		n.wantRules(a, b)
		before, lost := mustPublished(ctx), n.guard()

		laid(manager)
		deleteCRD(ctx, kinds.Digest)
		// For so long that the broken watch of the sets is tried again but rarely.
		Eventually(manager.Log).Should(ContainSubstring("the CRD of ImageDigestMirrorSet is missing"))
		Eventually(func() int { return strings.Count(manager.Log(), "Failed to watch") }, "1m").Should(BeNumerically(">", 3))
		n.keepsRules(a, b)
		Expect(plane.InstallAll(ctx)).To(Succeed())
		Eventually(manager.Log).Should(ContainSubstring("the CRD of ImageDigestMirrorSet was replaced and has no sets"))
		n.keepsRules(a, b)
		Expect(mustPublished(ctx)).To(Equal(before))
		Expect(lost()).To(BeEmpty())

		c := set("c", entry("quay.io", "m2.local"))
		Eventually(func() error { return admin.Create(ctx, c) }).Should(Succeed())
		Eventually(manager.Log).Should(ContainSubstring("the sets of some published rules have not come back yet; the manager waits for the remaining sets until "))
		n.keepsRules(a, b)
		a2, b2 := sets()
		create(ctx, a2)
		n.keepsRules(a, b)
		create(ctx, b2)
		Eventually(n.rules).Should(Equal(rendered(a, b, c)))
		d := set("d", entry("s.com", "m2.local"))
		create(ctx, d)
		Eventually(n.rules).Should(Equal(rendered(a, b, c, d)))
		for _, s := range []*configv1.ImageDigestMirrorSet{a2, b2, c, d} {
			Expect(admin.Delete(ctx, s)).To(Succeed())
		}
		n.wantRules()
	})

	It("changes nothing either when the manager is started anew meanwhile", func(ctx SpecContext) {
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		a := set("a", entry("quay.io", "m1.local"))
		create(ctx, a)
		n.wantRules(a)
		manager.Kill()
		deleteCRD(ctx, kinds.Digest)
		Expect(plane.InstallAll(ctx)).To(Succeed())
		manager = startManager(ctx, alone)
		Eventually(manager.Log).Should(ContainSubstring("the CRD of ImageDigestMirrorSet was replaced and has no sets"))
		n.keepsRules(a)
		b := set("b", entry("ghcr.io", "m1.local"))
		create(ctx, b)
		n.keepsRules(a)
		create(ctx, set("a", entry("quay.io", "m1.local")))
		n.wantRules(a, b)
	})
})
