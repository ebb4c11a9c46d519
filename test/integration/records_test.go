// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// counted is a client that counts what it is asked for.
type counted struct {
	client.Client
	lists, writes int
}

func (c *counted) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	c.lists++
	return c.Client.List(ctx, list, options...)
}

func (c *counted) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	c.writes++
	return c.Client.Create(ctx, object, options...)
}

// recordObjects returns the objects that are labelled as records.
func recordObjects(ctx context.Context) []appsv1.ControllerRevision {
	GinkgoHelper()
	var list appsv1.ControllerRevisionList
	Expect(admin.List(ctx, &list, client.InNamespace(controlplane.Namespace), client.MatchingLabels(history.Labels))).To(Succeed())
	return list.Items
}

// recordsOf returns the records that there are, the latest first.
func recordsOf(ctx context.Context) []history.Record {
	GinkgoHelper()
	var all []history.Record
	for _, object := range recordObjects(ctx) {
		record, err := history.Read(&object)
		Expect(err).NotTo(HaveOccurred())
		all = append(all, record)
	}
	history.Sort(all)
	return all
}

// saying puts records on a line each: the text by the mirrors in it, the sets with their generations, and the changes.
func saying(records []history.Record) []string {
	var lines []string
	for _, r := range records {
		var words []string
		for line := range strings.Lines(string(r.Text)) {
			if mirror, ok := strings.CutPrefix(line, `location = "m`); ok {
				words = append(words, "m"+strings.TrimSuffix(mirror, "\"\n"))
			}
		}
		words = append(words, "of")
		for _, s := range r.Sets {
			words = append(words, fmt.Sprintf("%s/%d", s.Name, s.Generation))
		}
		words = append(words, "by")
		for _, c := range r.Changes {
			words = append(words, fmt.Sprintf("%s:%s/%s", c.By, c.What, c.Name))
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// wantRecords waits until the records say this, the latest first.
func wantRecords(ctx context.Context, lines ...string) {
	GinkgoHelper()
	Eventually(func() []string { return saying(recordsOf(ctx)) }).Should(Equal(lines))
}

// changeBy has a field manager give a set another mirror.
func changeBy(ctx context.Context, manager string, s *configv1.ImageDigestMirrorSet, mirror configv1.ImageMirror) {
	GinkgoHelper()
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		s.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{entry("quay.io", mirror)}
		return admin.Update(ctx, s, client.FieldOwner(manager))
	}).Should(Succeed())
}

var _ = Describe("The history of what was published", func() {
	versions := func(ctx context.Context) []string {
		GinkgoHelper()
		var all []string
		for _, object := range recordObjects(ctx) {
			all = append(all, object.Name+" "+object.ResourceVersion)
		}
		slices.Sort(all)
		return all
	}

	It("has each text with the sets that it was of, and who changed them, whatever becomes of the manager and the ConfigMap", func(ctx SpecContext) {
		a, b := set("a", entry("quay.io", "m1.local")), set("b", entry("ghcr.io", "m2.local"))
		Expect(admin.Create(ctx, a, client.FieldOwner("alice"))).To(Succeed())
		manager := startManager(ctx, alone)
		wantRecords(ctx, "m1.local of a/1 by alice:created/a")
		Expect(admin.Create(ctx, b, client.FieldOwner("bob"))).To(Succeed())
		wantRecords(ctx, "m2.local m1.local of a/1 b/1 by bob:created/b", "m1.local of a/1 by alice:created/a")
		changeBy(ctx, "carol", a, "m3.local")
		three := []string{"m2.local m3.local of a/2 b/1 by carol:changed/a", "m2.local m1.local of a/1 b/1 by bob:created/b", "m1.local of a/1 by alice:created/a"}
		wantRecords(ctx, three...)
		Expect(recordsOf(ctx)[0].Revision).To(Equal(mustPublished(ctx).Revision))
		Expect(recordsOf(ctx)[0].Changes[0].At.Time).To(BeTemporally("~", recordsOf(ctx)[0].Published.Time, 5e9))
		for _, object := range recordObjects(ctx) {
			Expect(object.OwnerReferences).To(ConsistOf(SatisfyAll(HaveField("Kind", "Deployment"), HaveField("Name", operand.ManagerName),
				HaveField("UID", managerDeployment(ctx).UID), HaveField("BlockOwnerDeletion", BeNil()))))
		}

		before := versions(ctx)
		Expect(manager.Stop()).To(Succeed())
		startManager(ctx, alone)
		Expect(admin.Delete(ctx, b)).To(Succeed())
		wantRecords(ctx, append([]string{"m3.local of a/2 by :deleted/b"}, three...)...)
		Expect(versions(ctx)).To(ContainElements(before))

		first := recordsOf(ctx)[0]
		Expect(admin.Delete(ctx, &corev1.ConfigMap{ObjectMeta: configMapMeta})).To(Succeed())
		Eventually(published).WithContext(ctx).Should(HaveField("Revision", BeNumerically(">", first.Revision)))
		Eventually(func() int64 { return recordsOf(ctx)[0].Revision }).Should(Equal(mustPublished(ctx).Revision))
		wantRecords(ctx, append([]string{"m3.local of a/2 by :deleted/b"}, three...)...)
		Expect(recordsOf(ctx)[0].Published).To(Equal(first.Published))
	})

	It("has the last ten texts, and one that is published again under its later revision alone", func(ctx SpecContext) {
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s)
		startManager(ctx, alone)
		want := []string{"m1.local of a/1 by integration.test:created/a"}
		wantRecords(ctx, want...)
		for i := 2; i <= 11; i++ {
			changeBy(ctx, "carol", s, configv1.ImageMirror(fmt.Sprintf("m%d.local", i)))
			want = append([]string{fmt.Sprintf("m%d.local of a/%d by carol:changed/a", i, i)}, want...)
			want = want[:min(len(want), history.Limit)]
			wantRecords(ctx, want...)
		}
		changeBy(ctx, "dave", s, "m5.local")
		want = slices.DeleteFunc(want, func(line string) bool { return strings.HasPrefix(line, "m5.local ") })
		wantRecords(ctx, append([]string{"m5.local of a/12 by dave:changed/a"}, want...)...)

		changeBy(ctx, "erin", s, "m5.local") // which changes nothing
		other := set("b")                    // has no rules, and so changes the sets of the text alone
		Expect(admin.Create(ctx, other, client.FieldOwner("frank"))).To(Succeed())
		wantRecords(ctx, append([]string{"m5.local of a/12 b/1 by dave:changed/a frank:created/b"}, want...)...)
	})

	It("is written later where it cannot be written, and nothing waits for it", func(ctx SpecContext) {
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: "none"}}
		quota.Spec.Hard = corev1.ResourceList{"count/controllerrevisions.apps": resource.MustParse("0")}
		Expect(admin.Create(ctx, quota)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(admin.Delete(ctx, quota))).To(Succeed()) })
		quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: quota.Spec.Hard}
		Expect(admin.Status().Update(ctx, quota)).To(Succeed())
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s)
		n.wantRules(s)
		changeBy(ctx, "carol", s, "m2.local")
		n.wantRules(s)
		Eventually(manager.Log).Should(MatchRegexp(`"Cannot record the published rules in the history".*"error":"revision %d is published, but cannot be undone to later, because it is not in the history.*exceeded quota`, mustPublished(ctx).Revision))
		Expect(recordObjects(ctx)).To(BeEmpty())
		Expect(admin.Delete(ctx, quota)).To(Succeed())
		Eventually(func() []string { return saying(recordsOf(ctx)) }).Should(Equal([]string{"m2.local of a/2 by carol:created/a"}))
	})
})
