// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// recordPublished returns what tells all versions of the ConfigMap since then, each by its text.
func recordPublished(ctx context.Context) func(context.Context) []string {
	GinkgoHelper()
	versions, err := admin.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(controlplane.Namespace), client.MatchingFields{"metadata.name": payload.ConfigMapName})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(versions.Stop)
	var mu sync.Mutex
	var texts []string
	last := ""
	go func() {
		for event := range versions.ResultChan() {
			if cm, ok := event.Object.(*corev1.ConfigMap); ok {
				mu.Lock()
				texts, last = append(texts, string(event.Type)+"\n"+cm.Data[payload.Key]), cm.ResourceVersion
				mu.Unlock()
			}
		}
	}()
	return func(ctx context.Context) []string {
		GinkgoHelper()
		cm, err := configMap(ctx)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() string {
			mu.Lock()
			defer mu.Unlock()
			return last
		}).Should(Equal(cm.ResourceVersion))
		mu.Lock()
		defer mu.Unlock()
		return texts
	}
}

var _ = Describe("Sets that come back one by one after their CRDs were replaced", func() {
	It("open no block of those that are not back, are followed at once when all are, and are obeyed when one is deleted then", func(ctx SpecContext) {
		DeferCleanup(func(ctx SpecContext) { Expect(plane.InstallAll(ctx)).To(Succeed()) })
		const blocked = 4
		digestSet := func(i int) *configv1.ImageDigestMirrorSet {
			e := entry(fmt.Sprintf("s%d.com", i), "m.local")
			e.MirrorSourcePolicy = configv1.NeverContactSource
			return set(fmt.Sprintf("back-%d", i), e)
		}
		theirs := configv1.ImageTagMirrors{Source: "tags.com", Mirrors: []configv1.ImageMirror{"m.local"}, MirrorSourcePolicy: configv1.NeverContactSource}
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		for i := range blocked {
			create(ctx, digestSet(i))
		}
		tagSet(ctx, "back-t", theirs)
		closed := func(text string) int { return strings.Count(text, "blocked = true") }
		Eventually(func() (int, error) { text, err := n.rules(); return closed(text), err }).Should(Equal(blocked + 1))
		before, err := n.rules()
		Expect(err).NotTo(HaveOccurred())
		seen, lost := recordPublished(ctx), n.guard()

		deleteCRD(ctx, kinds.Digest)
		deleteCRD(ctx, kinds.Tag)
		Expect(plane.InstallAll(ctx)).To(Succeed())
		for i := range blocked {
			Eventually(func() error { return admin.Create(ctx, digestSet(i)) }).Should(Succeed())
			Eventually(conditionOf(ctx, fmt.Sprintf("back-%d", i), configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonNotPublished, ContainSubstring("was replaced")))
			if i == 1 { // the next one knows it from the ConfigMap
				manager.Kill()
				manager = startManager(ctx, alone)
			}
			time.Sleep(1200 * time.Millisecond) // something else is published once a second
		}
		another := tagSet(ctx, "another", configv1.ImageTagMirrors{Source: "other.com", Mirrors: []configv1.ImageMirror{"m.local"}})
		Eventually(conditionOf(ctx, "back-0", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonNotPublished,
			ContainSubstring(" was replaced, and some published rules are not back yet; the remaining sets have until ")))
		Expect(n.rules()).To(Equal(before))
		for _, text := range seen(ctx) {
			Expect(text).To(HaveSuffix(before))
		}

		back := tagSet(ctx, "back-t", theirs)
		Eventually(n.rules).Should(ContainSubstring("other.com"))
		awaitInForce(ctx, "back-0", "back-3")
		for _, text := range seen(ctx) {
			Expect(closed(text)).To(Equal(blocked+1), text)
			Expect(text).NotTo(HavePrefix("DELETED"))
		}
		Expect(lost()).To(BeEmpty())
		Expect(admin.Delete(ctx, another)).To(Succeed())
		Expect(admin.Delete(ctx, back)).To(Succeed())
		Eventually(n.rules).ShouldNot(ContainSubstring("tags.com"))
		Expect(admin.Delete(ctx, digestSet(0))).To(Succeed())
		Eventually(n.rules).ShouldNot(ContainSubstring("s0.com"))
	})
})
