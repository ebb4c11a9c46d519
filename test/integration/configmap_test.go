// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"time"

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

// pack returns a text gzipped.
func pack(text string) []byte {
	GinkgoHelper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, text)
	Expect(errors.Join(err, w.Close())).To(Succeed())
	return packed.Bytes()
}

// overwrite puts a payload into the ConfigMap.
func overwrite(p payload.Payload) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) {
		if cm.Annotations == nil {
			cm.Annotations = make(map[string]string)
		}
		maps.Copy(cm.Annotations, p.Annotations())
		cm.Data, cm.BinaryData = map[string]string{payload.Key: string(p.Text)}, nil
	}
}

func annotate(key, value string) func(*corev1.ConfigMap) {
	return func(cm *corev1.ConfigMap) { metav1.SetMetaDataAnnotation(&cm.ObjectMeta, key, value) }
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
		Entry("fill it, so that the rules have no room", func(cm *corev1.ConfigMap) {
			cm.Data = map[string]string{"notes": strings.Repeat("x", 1<<20-10)}
		}, int64(1)),
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

	It("is not fought over with somebody who insists, and is whole once they stop", func(ctx SpecContext) {
		n = newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		before := inForce(ctx)
		lost := n.guard()
		written := func() int { return strings.Count(manager.Log(), `"msg":"Published"`) }
		Eventually(written).Should(BeNumerically(">=", 1))
		first, harms := written(), 0
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			cm, err := configMap(ctx)
			Expect(err).NotTo(HaveOccurred())
			if cm.Data[payload.Key] != string(before.Text) {
				continue // it is harmed already
			}
			cm.Data[payload.Key] += "#"
			if admin.Update(ctx, cm) == nil {
				harms++
			}
		}
		Expect(harms).To(BeNumerically(">=", 2), "or nobody insisted")
		Expect(written()-first).To(BeNumerically("<=", 6), "restored at once, and after 1, 2, 4 and 8 seconds")
		Eventually(published).WithContext(ctx).Should(HaveField("Digest", before.Digest))
		n.keepsRules(s)
		Expect(lost()).To(BeEmpty())
		AddReportEntry("figures", fmt.Sprintf("changed %d times in ten seconds, written %d times", harms, written()-first), ReportEntryVisibilityAlways)
	})

	It("is restored when others publish something complete and newer", func(ctx SpecContext) {
		n = startNode(ctx)
		before := inForce(ctx)
		lost := n.guard()
		for i := range 7 { // each time at once, because an agent takes it
			forged := payload.New(before.Revision+int64(i+1)*1000, []byte(rendered(set("forged", entry("s.com", "m.local")))))
			edit(ctx, func(cm *corev1.ConfigMap) {
				overwrite(forged)(cm)
				annotate("mirrorset.io/crd-uid", "another,ImageTagMirrorSet=another")(cm) // as if the CRDs had been replaced
			})
			restored(ctx, before, forged.Revision+1)
		}
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
		next := func(text string) func(*corev1.ConfigMap) {
			return overwrite(payload.New(before.Revision+1, []byte(text)))
		}
		revised := func(revision string) func(*corev1.ConfigMap) {
			return func(cm *corev1.ConfigMap) {
				next(string(other))(cm)
				annotate(payload.RevisionAnnotation, revision)(cm)
			}
		}
		compressed := func(text string) func(*corev1.ConfigMap) {
			return func(cm *corev1.ConfigMap) {
				next(text)(cm)
				cm.Data, cm.BinaryData = nil, map[string][]byte{payload.CompressedKey: pack(text)}
			}
		}
		damaged := payload.New(before.Revision+1, other)
		damaged.Digest = before.Digest
		for _, tc := range []struct {
			edit func(*corev1.ConfigMap)
			want string
		}{
			{overwrite(damaged), "the digest of the text is"},
			{overwrite(payload.New(before.Revision-1, other)), "is older than"},
			{overwrite(payload.New(before.Revision, other)), "was published with digest"},
			{next("[[registry"), "registries.conf:"},
			{next("unqualified-search-registries = [\"evil.com\"]\n" + string(other)), "unqualified-search-registries"},
			{next("credential-helpers = [\"evil\"]\n" + string(other)), "credential-helpers"},
			{next(string(other) + "[aliases]\nalpine = \"evil.com/alpine\"\n"), "[aliases]"},
			{next(strings.ReplaceAll(string(other), "location = \"s.com\"", "prefix = \"s.com\"\nlocation = \"evil.com\"")), "prefix and location are both set"},
			{next(string(other) + "\n[[registry]]\nlocation = \"s.com\"\nblocked = true\n"), "out of order"},
			{next(strings.ReplaceAll(string(other), "\n", "\r\n")), "line 2,"},
			{next("\ufeff" + string(other)), "line 1,"},
			{next(string(other) + "registry = " + strings.Repeat("[", 900<<10)), "is not a line that Mirrorset writes"},
			{compressed("registry" + strings.Repeat(".a", 3<<20) + " = true\n"), "line 1,"},
			{compressed(strings.Repeat("[[registry]]\n", 1<<19)), "table 1: source"},
			{compressed(strings.Repeat("\n", 100<<20)), payload.ErrTooLarge.Error()},
			{func(cm *corev1.ConfigMap) {
				next(string(other))(cm)
				cm.Data, cm.BinaryData = nil, map[string][]byte{payload.Key: other}
			}, "neither key registries.conf nor key registries.conf.gz exists"},
			{revised("-1"), "revision -1 is out of range"},
			{revised("9223372036854775808"), "value out of range"},
			{revised("9223372036854775807"), "revision 9223372036854775807 is out of range"},
			{func(cm *corev1.ConfigMap) { cm.Annotations, cm.Labels = nil, nil }, payload.RevisionAnnotation},
			{func(cm *corev1.ConfigMap) { cm.Annotations = map[string]string{} }, payload.RevisionAnnotation},
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

		Expect(strings.Count(agent.Log(), ", which is older than revision ")).To(Equal(1), "an error is logged once")
		peak, err := agent.PeakMemory()
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("figures", fmt.Sprintf("agent %d MiB", peak), ReportEntryVisibilityAlways)
		Expect(peak).To(BeNumerically("<", memoryLimit))
		startManager(ctx, alone)
		change(ctx, s, entry("quay.io", "m3.local"))
		n.wantRules(s)
	})
})
