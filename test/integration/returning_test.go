// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
)

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
		seen, lost := recordVersions(ctx), n.guard()

		laid(manager)
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
			ContainSubstring(" was replaced, and the sets of some published rules have not come back yet; the manager waits for the remaining sets until ")))
		Expect(n.rules()).To(Equal(before))
		for _, v := range seen() {
			Expect(v.text()).To(HaveSuffix(before))
		}

		back := tagSet(ctx, "back-t", theirs)
		Eventually(n.rules).Should(ContainSubstring("other.com"))
		awaitInForce(ctx, "back-0", "back-3")
		for _, v := range seen() {
			Expect(closed(v.text())).To(Equal(blocked+1), v.text())
			Expect(v.deleted).To(BeFalse())
		}
		Expect(lost()).To(BeEmpty())
		Expect(admin.Delete(ctx, another)).To(Succeed())
		Expect(admin.Delete(ctx, back)).To(Succeed())
		Eventually(n.rules).ShouldNot(ContainSubstring("tags.com"))
		Expect(admin.Delete(ctx, digestSet(0))).To(Succeed())
		Eventually(n.rules).ShouldNot(ContainSubstring("s0.com"))
	})
})
