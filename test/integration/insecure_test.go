// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

var _ = Describe("A set that calls its mirrors insecure", func() { // I1 to I4
	It("is followed at once, and says what is left out", func(ctx SpecContext) {
		n := startNode(ctx)
		s := set("a", entry("quay.io", "m1.local:5000/q", "m2.local/q"))
		other := set("b", entry("ghcr.io", "m1.local:5000/g"))
		create(ctx, s, other)
		n.wantRules(s, other)
		awaitInForce(ctx, "a")
		annotate := func(insecure string) {
			GinkgoHelper()
			before := s.DeepCopy()
			s.Annotations = map[string]string{mirrors.InsecureAnnotation: insecure}
			Expect(admin.Patch(ctx, s, client.MergeFrom(before))).To(Succeed())
		}
		const first = "location = \"m1.local:5000/q\"\ninsecure = true"

		annotate("m1.local:5000, quay.io")
		Eventually(n.rules).Should(ContainSubstring(first))
		rules, err := n.rules()
		Expect(err).NotTo(HaveOccurred())
		Expect(rules).NotTo(ContainSubstring("location = \"quay.io\"\ninsecure"))
		Expect(rules).NotTo(ContainSubstring("m1.local:5000/g\"\ninsecure"), "of another set")

		annotate("http://m1.local:5000, m2.local")
		Eventually(n.rules).Should(SatisfyAll(ContainSubstring("location = \"m2.local/q\"\ninsecure = true"), Not(ContainSubstring(first))))
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			g.Expect(s.Status.Findings).To(ConsistOf(SatisfyAll(HaveField("Reason", "InvalidInsecureMirrors"), HaveField("Entry", BeNil()),
				HaveField("Message", ContainSubstring(`annotation mirrorset.io/insecure-mirrors: "http://m1.local:5000" is ignored`)))))
			g.Expect(meta.IsStatusConditionFalse(s.Status.Conditions, configv1.ConditionAccepted)).To(BeTrue())
		}).Should(Succeed())

		annotate("")
		Eventually(n.rules).ShouldNot(ContainSubstring("insecure"))
		awaitInForce(ctx, "a")
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		Expect(s.Status.Findings).To(BeEmpty())
	})
})
