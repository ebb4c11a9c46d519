// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
)

var _ = Describe("A set in shadow mode", func() { // V3, V4
	It("has its source open and watched, or blocked and not watched, at any moment", func(ctx SpecContext) {
		n := startNode(ctx)
		s := set("a", entry("quay.io", "m1.local/q"))
		s.Spec.ImageDigestMirrors[0].MirrorSourcePolicy = configv1.NeverContactSource
		create(ctx, s)
		n.wantRules(s)
		awaitInForce(ctx, "a")
		versions := recordVersions(ctx)
		patch := func(change func()) {
			GinkgoHelper()
			before := s.DeepCopy()
			change()
			Expect(admin.Patch(ctx, s, client.MergeFrom(before))).To(Succeed())
		}
		annotate := func(value string) {
			GinkgoHelper()
			patch(func() { s.Annotations = map[string]string{mirrors.EnforcementAnnotation: value} })
		}
		// kept is what the node's agent would begin with if it started anew.
		kept := func(g Gomega) payload.Payload {
			data, err := os.ReadFile(n.path(payload.HostPath))
			g.Expect(err).NotTo(HaveOccurred())
			p, err := payload.Unmarshal(data)
			g.Expect(err).NotTo(HaveOccurred())
			return p
		}
		const block = "blocked = true"
		isWatched := func(g Gomega) { g.Expect(kept(g).Shadow).To(Equal(map[string]string{"quay.io": "a"})) }
		isNotWatched := func(g Gomega) { g.Expect(kept(g).Shadow).To(BeEmpty()) }

		annotate(" shadow\n")
		Eventually(n.rules).Should(SatisfyAll(ContainSubstring(`location = "quay.io"`), Not(ContainSubstring(block))))
		Eventually(isWatched).Should(Succeed())
		Expect(mustPublished(ctx).Shadow).To(Equal(map[string]string{"quay.io": "a"}))
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			g.Expect(s.Status.Findings).To(ConsistOf(SatisfyAll(HaveField("Reason", "ShadowMode"), HaveField("Message", ContainSubstring(`it would block "quay.io"`)))))
			g.Expect(meta.IsStatusConditionTrue(s.Status.Conditions, configv1.ConditionAccepted)).To(BeTrue())
		}).Should(Succeed())

		annotate("shadwo") // which enforces, and says so
		Eventually(n.rules).Should(ContainSubstring(block))
		Eventually(isNotWatched).Should(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			g.Expect(s.Status.Findings).To(ContainElement(HaveField("Reason", "InvalidEnforcement")))
			g.Expect(meta.IsStatusConditionFalse(s.Status.Conditions, configv1.ConditionAccepted)).To(BeTrue())
		}).Should(Succeed())

		annotate("shadow")
		Eventually(isWatched).Should(Succeed())
		annotate("")
		Eventually(n.rules).Should(ContainSubstring(block))
		Eventually(isNotWatched).Should(Succeed())
		all := versions()
		Expect(len(all)).To(BeNumerically(">=", 4))
		for _, v := range all {
			_, watched := v.configMap.Data[payload.ShadowKey]
			Expect(watched).NotTo(Equal(strings.Contains(v.text(), block)), "version %s: %v", v.configMap.ResourceVersion, v.configMap.Data)
		}

		annotate("shadow")
		Eventually(isWatched).Should(Succeed())
		open := mustPublished(ctx)
		patch(func() { s.Spec.ImageDigestMirrors[0].MirrorSourcePolicy = "" }) // by the same text
		Eventually(isNotWatched).Should(Succeed())
		Expect(mustPublished(ctx)).To(SatisfyAll(HaveField("Revision", open.Revision), HaveField("Digest", open.Digest), HaveField("Shadow", BeEmpty())))
		edit(ctx, func(cm *corev1.ConfigMap) { cm.Data[payload.ShadowKey] = `{"s.com":"forged"}` })
		Eventually(func(g Gomega) {
			cm, err := configMap(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(cm.Data).NotTo(HaveKey(payload.ShadowKey))
		}).Should(Succeed())
		Eventually(isNotWatched).Should(Succeed())
		patch(func() { s.Spec.ImageDigestMirrors[0].MirrorSourcePolicy = configv1.NeverContactSource })
		Eventually(isWatched).Should(Succeed())
		edit(ctx, func(cm *corev1.ConfigMap) { delete(cm.Data, payload.ShadowKey) })
		Eventually(func(g Gomega) { g.Expect(mustPublished(ctx).Shadow).To(HaveKey("quay.io")) }).Should(Succeed())
		Eventually(isWatched).Should(Succeed())
	})
})
