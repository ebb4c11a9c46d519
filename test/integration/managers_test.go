// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// wantGrowing checks that no revision is followed by an older one.
func wantGrowing(versions []version) {
	GinkgoHelper()
	seen := make([]int64, len(versions))
	for i := range versions {
		p, _ := payload.Read(versions[i].configMap) // one that cannot be read counts as revision 0
		seen[i] = p.Revision
	}
	Expect(len(seen)).To(BeNumerically(">", 1))
	for i := range seen[1:] {
		Expect(seen[i+1]).To(BeNumerically(">=", seen[i]), "in %v", seen)
	}
}

var _ = Describe("Managers", func() {
	const leads = "Successfully acquired lease"

	It("take over from one another, and never go back to an older revision", func(ctx SpecContext) {
		n := newNode()
		startAgent(ctx, n)
		first := startManager(ctx)
		Eventually(first.Log).Should(ContainSubstring(leads))
		seen := recordVersions(ctx)
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s)
		n.wantRules(s)

		second := startManager(ctx)
		change(ctx, s, entry("quay.io", "m2.local"))
		n.wantRules(s)
		Eventually(second.Log).Should(ContainSubstring("Attempting to acquire leader lease"))
		Expect(second.Log()).NotTo(ContainSubstring(leads))

		first.Kill()
		change(ctx, s, entry("quay.io", "m3.local"))
		n.keepsRules(set("a", entry("quay.io", "m2.local"))) // until the lease has run out
		Eventually(n.rules, "40s").Should(Equal(rendered(s)))

		third := startManager(ctx)
		Eventually(third.Log).Should(ContainSubstring("Attempting to acquire leader lease"))
		Expect(second.Stop()).To(Succeed())
		change(ctx, s, entry("quay.io", "m4.local"))
		Eventually(n.rules, "10s").Should(Equal(rendered(s)), "the lease was handed over and did not have to run out")
		Expect(third.Log()).To(ContainSubstring(leads))
		wantGrowing(seen())
	})

	It("catch up with what changed while there was none", func(ctx SpecContext) {
		n := newNode()
		startAgent(ctx, n)
		manager := startManager(ctx, alone)
		a, b := set("a", entry("quay.io", "m1.local")), set("b", entry("ghcr.io", "m1.local"))
		create(ctx, a, b)
		n.wantRules(a, b)
		seen := recordVersions(ctx)

		Expect(manager.Stop()).To(Succeed())
		change(ctx, a, entry("quay.io", "m2.local"))
		Expect(admin.Delete(ctx, b)).To(Succeed())
		c := set("c", entry("s.com", "m1.local"))
		create(ctx, c)
		n.keepsRules(set("a", entry("quay.io", "m1.local")), b)
		manager = startManager(ctx, alone)
		n.wantRules(a, c)

		Expect(manager.Stop()).To(Succeed())
		before := mustPublished(ctx)
		manager = startManager(ctx, alone)
		d := set("d")
		create(ctx, d) // which has no rules, so there is nothing to publish
		Eventually(manager.Log).Should(ContainSubstring("Starting workers"))
		n.keepsRules(a, c)
		after := mustPublished(ctx)
		Expect(after.Revision).To(Equal(before.Revision), "a set without rules gives nodes nothing to do")
		Expect(after.Sets).NotTo(Equal(before.Sets), "and yet what is published is of that set too")
		Expect(admin.Delete(ctx, a)).To(Succeed())
		Expect(admin.Delete(ctx, c)).To(Succeed())
		n.wantRules()
		wantGrowing(seen())
	})
})
