// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
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

// holder returns which manager has the lease; "" for none.
func holder(ctx context.Context) string {
	GinkgoHelper()
	lease := &coordinationv1.Lease{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: "mirrorset-manager"}, lease)).To(Succeed())
	return ptr.Deref(lease.Spec.HolderIdentity, "")
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
		n.wantRules(s)

		third := startManager(ctx)
		Eventually(third.Log).Should(ContainSubstring("Attempting to acquire leader lease"))
		before := holder(ctx)
		Expect(second.Stop()).To(Succeed())
		Expect(holder(ctx)).NotTo(Equal(before), "the lease was handed over and did not have to run out")
		change(ctx, s, entry("quay.io", "m4.local"))
		n.wantRules(s)
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
		startManager(ctx, alone)
		create(ctx, set("d")) // which has no rules, so there is nothing to publish
		Eventually(published).WithArguments(ctx).ShouldNot(HaveField("Sets", before.Sets), "what is published is of that set too")
		n.keepsRules(a, c)
		Expect(mustPublished(ctx).Revision).To(Equal(before.Revision), "a set without rules gives nodes nothing to do")
		Expect(admin.Delete(ctx, a)).To(Succeed())
		Expect(admin.Delete(ctx, c)).To(Succeed())
		n.wantRules()
		wantGrowing(seen())
	})
})
