// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// overtaken is a live reader whose user is overtaken by somebody else between reading the ConfigMap and writing it.
type overtaken struct {
	client.Reader
	by func(context.Context)
}

func (o overtaken) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := o.Reader.Get(ctx, key, object, options...)
	if _, ok := object.(*corev1.ConfigMap); ok {
		o.by(ctx)
	}
	return err
}

// publisherAsks are what the publisher reads and writes.
var publisherAsks = []string{"imagedigestmirrorsets", "imagetagmirrorsets", "customresourcedefinitions", "configmaps"}

var _ = Describe("The manager", func() {
	It("cannot overwrite what its successor published", func(ctx SpecContext) {
		n := startNode(ctx)
		a, b := set("a", entry("quay.io", "m1.local")), set("b", entry("ghcr.io", "m1.local"))
		create(ctx, a)
		n.wantRules(a)
		insecure, err := mirrors.ParseScopes([]string{"m1.local"})
		Expect(err).NotTo(HaveOccurred())
		old := controller.Publisher{Client: admin, Namespace: controlplane.Namespace, Insecure: insecure}
		old.Live = overtaken{admin, func(ctx context.Context) {
			create(ctx, b)
			n.wantRules(a, b)
		}}
		before := mustPublished(ctx)
		_, _, err = old.Publish(ctx)
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "error %v", err)
		n.keepsRules(a, b)
		Expect(mustPublished(ctx).Revision).To(BeNumerically(">", before.Revision))
	})

	It("writes only when the content changed", func(ctx SpecContext) {
		n := newNode()
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s) // first, as a manager publishes that there are none as well
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		n.wantRules(s)
		written := func() int { return strings.Count(manager.Log(), `"msg":"Published"`) } // which is logged after the write
		Eventually(written).Should(Equal(1))
		for i := range 5 {
			edit(ctx, func(cm *corev1.ConfigMap) { cm.Annotations["example.org/touched"] = string(rune('a' + i)) })
			edit(ctx, func(cm *corev1.ConfigMap) { cm.BinaryData = map[string][]byte{"other.gz": {byte(i)}} })
		}
		change(ctx, s, entry("quay.io", "m2.local"))
		n.wantRules(s)
		Eventually(written).Should(Equal(2))
	})

	It("asks once for each thing that a change takes, and not again for what it wrote itself", func(ctx SpecContext) {
		n := startNode(ctx)
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s)
		n.wantRules(s)
		asked := func() map[string]int {
			GinkgoHelper()
			requests, err := plane.Requests()
			Expect(err).NotTo(HaveOccurred())
			count := map[string]int{}
			for _, r := range requests {
				if strings.HasSuffix(r.User.Name, ":"+controlplane.ManagerAccount) && slices.Contains(publisherAsks, r.Object.Resource) && r.Object.Subresource == "" && r.Verb != "watch" {
					count[r.Verb+" "+r.Object.Resource]++
				}
			}
			return count
		}
		atRest := func() (all map[string]int) {
			GinkgoHelper()
			Eventually(func(g Gomega) {
				all = asked()
				time.Sleep(time.Second)
				g.Expect(asked()).To(Equal(all))
			}).Should(Succeed())
			return all
		}
		want := map[string]int{
			"list imagedigestmirrorsets": 1, "list imagetagmirrorsets": 1, "get customresourcedefinitions": 2, "get configmaps": 1, "patch configmaps": 1,
		}
		for i := range 5 {
			before := atRest()
			change(ctx, s, entry("quay.io", configv1.ImageMirror(fmt.Sprintf("m%d.local", i+2))))
			n.wantRules(s)
			since := atRest()
			maps.DeleteFunc(since, func(what string, times int) bool { return times == before[what] })
			for what := range since {
				since[what] -= before[what]
			}
			if since["get customresourcedefinitions"] == 2*since["list imagedigestmirrorsets"] {
				Expect(since).To(Equal(want))
				return
			} // else a CRD has changed beside, and was read as a whole for that
		}
		Fail("a CRD has changed beside each change of the set")
	})

	It("waits for a CRD that is away when it starts", func(ctx SpecContext) {
		DeferCleanup(func(ctx SpecContext) { Expect(plane.InstallAll(ctx)).To(Succeed()) })
		deleteCRD(ctx, kinds.Digest)
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		Eventually(manager.Log).Should(ContainSubstring(`"Starting workers","controller":"publisher"`))
		Expect(plane.InstallAll(ctx)).To(Succeed())
		s := set("a", entry("quay.io", "m1.local"))
		Eventually(func() error { return admin.Create(ctx, s) }).Should(Succeed())
		n.wantRules(s)
		change(ctx, s, entry("quay.io", "m2.local"))
		n.wantRules(s)
		Expect(manager.Exited()).NotTo(BeClosed())
	})

	It("opens nothing when both the CRD and the ConfigMap were lost", func(ctx SpecContext) {
		DeferCleanup(func(ctx SpecContext) { Expect(plane.InstallAll(ctx)).To(Succeed()) })
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		s := set("a", entry("quay.io", "m1.local"))
		s.Spec.ImageDigestMirrors[0].MirrorSourcePolicy = "NeverContactSource"
		create(ctx, s)
		n.wantRules(s)
		manager.Kill()
		deleteCRD(ctx, kinds.Digest)
		Expect(admin.Delete(ctx, &corev1.ConfigMap{ObjectMeta: configMapMeta})).To(Succeed())
		lost := n.guard()
		Expect(plane.InstallAll(ctx)).To(Succeed())
		startManager(ctx, alone)
		Eventually(func(g Gomega) {
			cm, err := configMap(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(cm.Annotations).To(HaveKeyWithValue(payload.ProvisionalAnnotation, "true"))
		}).Should(Succeed())
		n.keepsRules(s)
		Expect(lost()).To(BeEmpty())
		b := set("b", entry("ghcr.io", "m1.local"))
		create(ctx, b)
		n.wantRules(b)
		cm, err := configMap(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(cm.Annotations).NotTo(HaveKey(payload.ProvisionalAnnotation))
	})
})
