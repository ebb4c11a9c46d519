// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"maps"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// edit changes the ConfigMap as somebody else would.
func edit(ctx context.Context, change func(*corev1.ConfigMap)) {
	GinkgoHelper()
	Expect(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		cm, err := configMap(ctx)
		if err != nil {
			return err
		}
		change(cm)
		return admin.Update(ctx, cm)
	})).To(Succeed())
}

// overwrite puts a payload into the ConfigMap.
func overwrite(p payload.Payload) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) {
		maps.Copy(cm.Annotations, p.Annotations())
		cm.Data = map[string]string{payload.Key: string(p.Text)}
	}
}

func annotate(key, value string) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) { cm.Annotations[key] = value }
}

var _ = Describe("The ConfigMap", func() {
	var (
		n *node
		s *configv1.ImageDigestMirrorSet
	)
	inForce := func(ctx context.Context) payload.Payload {
		GinkgoHelper()
		s = set("a", entry("quay.io", "m1.local/q"))
		create(ctx, s)
		n.wantRules(s)
		return mustPublished(ctx)
	}
	// restored waits until the ConfigMap is whole again, with a revision of at least the given one.
	restored := func(ctx context.Context, want payload.Payload, revision int64) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			p, err := published(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(p.Digest).To(Equal(want.Digest))
			g.Expect(p.Revision).To(BeNumerically(">=", revision))
			cm, err := configMap(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(cm.Labels).To(HaveKeyWithValue("app.kubernetes.io/managed-by", "mirrorset-manager"))
			g.Expect(cm.Data[payload.Key]).To(Equal(string(want.Text)))
			g.Expect(cm.Annotations).To(HaveKey("mirrorset.io/crd-uid"))
		}).Should(Succeed())
	}

	DescribeTable("is restored, and no node loses its rules, when others", func(ctx SpecContext, harm func(*corev1.ConfigMap), grows int64) {
		n = startNode(ctx)
		before := inForce(ctx)
		lost := n.guard()
		edit(ctx, harm)
		restored(ctx, before, before.Revision+grows)
		n.keepsRules(s)
		change(ctx, s, entry("quay.io", "m2.local/q"))
		n.wantRules(s)
		Expect(lost()).To(BeEmpty())
	},
		Entry("edit the text", func(cm *corev1.ConfigMap) { cm.Data[payload.Key] += "#\n" }, int64(1)),
		Entry("remove the text", func(cm *corev1.ConfigMap) { cm.Data = nil }, int64(1)),
		Entry("edit the digest", annotate(payload.DigestAnnotation, "sha256:0"), int64(1)),
		Entry("lower the revision", annotate(payload.RevisionAnnotation, "1"), int64(1)),
		Entry("raise the revision", func(cm *corev1.ConfigMap) {
			old, _ := strconv.ParseInt(cm.Annotations[payload.RevisionAnnotation], 10, 64)
			cm.Annotations[payload.RevisionAnnotation] = strconv.FormatInt(old+1000, 10)
		}, int64(1000)),
		Entry("raise the revision beyond all sense", annotate(payload.RevisionAnnotation, "9223372036854775807"), int64(1)),
		Entry("raise the revision to where none is left", annotate(payload.RevisionAnnotation, "4503599627370495"), int64(1)),
		Entry("make it immutable", func(cm *corev1.ConfigMap) {
			cm.Immutable = ptr.To(true)
			cm.Labels = nil
		}, int64(0)),
		Entry("remove the annotations", func(cm *corev1.ConfigMap) { cm.Annotations = nil }, int64(1)),
		Entry("remove the labels", func(cm *corev1.ConfigMap) { cm.Labels = nil }, int64(0)),
		Entry("add a compressed text", func(cm *corev1.ConfigMap) { cm.BinaryData = map[string][]byte{payload.CompressedKey: {1}} }, int64(0)),
	)

	It("is restored, and no node loses its rules, when others delete it", func(ctx SpecContext) {
		n = startNode(ctx)
		before := inForce(ctx)
		lost := n.guard()
		Expect(admin.Delete(ctx, &corev1.ConfigMap{ObjectMeta: configMapMeta})).To(Succeed())
		restored(ctx, before, before.Revision+1)
		n.keepsRules(s)
		Expect(lost()).To(BeEmpty())
	})

	It("is restored when others publish something complete and newer", func(ctx SpecContext) {
		n = startNode(ctx)
		before := inForce(ctx)
		forged := payload.New(before.Revision+1000, []byte(rendered(set("forged", entry("s.com", "m.local")))))
		lost := n.guard()
		edit(ctx, overwrite(forged))
		restored(ctx, before, forged.Revision+1)
		n.wantRules(s)
		n.keepsRules(s)
		Expect(lost()).To(BeEmpty())
	})

	It("changes nothing on the node where it is damaged or older, while no manager restores it", func(ctx SpecContext) {
		n = newNode()
		manager := startManager(ctx, alone)
		agent := startAgent(ctx, n)
		before := inForce(ctx)
		var node mirrorsetv1alpha1.MirrorNode
		Eventually(func() error { return admin.Get(ctx, client.ObjectKey{Name: "node-1"}, &node) }).Should(Succeed()) // which a manager creates
		Expect(manager.Stop()).To(Succeed())
		lost := n.guard()
		other := []byte(rendered(set("other", entry("s.com", "m.local"))))
		damaged := payload.New(before.Revision+1, other)
		damaged.Digest = before.Digest
		for _, tc := range []struct {
			edit func(*corev1.ConfigMap)
			want string
		}{
			{overwrite(damaged), "the digest of the text is"},
			{overwrite(payload.New(before.Revision-1, other)), "is older than"},
			{overwrite(payload.New(before.Revision, other)), "was published with digest"},
			{overwrite(payload.New(before.Revision+1, []byte("[[registry"))), "registries.conf:"},
			{annotate(payload.RevisionAnnotation, "x"), payload.RevisionAnnotation},
			{func(cm *corev1.ConfigMap) {
				overwrite(payload.New(before.Revision+1, other))(cm)
				annotate(payload.FormatAnnotation, strconv.Itoa(payload.Format+1))(cm)
			}, "this agent is older than the manager"},
		} {
			edit(ctx, tc.edit)
			Eventually(agent.Log).Should(ContainSubstring(tc.want))
			Eventually(func(g Gomega) {
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(&node), &node)).To(Succeed())
				g.Expect(node.Status.Conditions).To(ContainElement(And(HaveField("Type", mirrorsetv1alpha1.ConditionApplied), HaveField("Status", metav1.ConditionFalse), HaveField("Message", ContainSubstring(tc.want)))))
			}).Should(Succeed())
			Consistently(n.rules, "300ms").Should(Equal(rendered(s)))
		}
		Expect(admin.Delete(ctx, &corev1.ConfigMap{ObjectMeta: configMapMeta})).To(Succeed())
		n.keepsRules(s)
		Expect(lost()).To(BeEmpty())

		Expect(strings.Count(agent.Log(), ", which is in force: refused")).To(Equal(1), "an error is logged once")
		startManager(ctx, alone)
		change(ctx, s, entry("quay.io", "m3.local"))
		n.wantRules(s)
	})
})
