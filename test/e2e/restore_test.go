// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// churned is how many resource versions are used up between save and restore, at least. A watch that continues from one that is
// no more has no events until the API server has given out as many again, which in a real cluster takes as long as what was lost.
const churned = 3000

func (f *fleet) churn(ctx context.Context) {
	GinkgoHelper()
	var all sync.WaitGroup
	for worker := range 10 {
		all.Go(func() {
			defer GinkgoRecover()
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprint("churn-", worker)}}
			Expect(f.objects.Create(ctx, cm)).To(Succeed())
			for i := range churned / 10 {
				Expect(f.objects.Patch(ctx, cm, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"data": {"n": "%d"}}`, i)))).To(Succeed())
			}
		})
	}
	all.Wait()
}

// expectRestored saves etcd, has the nodes continue, and restores it: the objects then are those from before, and the nodes, which
// know nothing of it, have what no object speaks of any more.
func (f *fleet) expectRestored(ctx context.Context) {
	GinkgoHelper()
	f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com/before"))
	f.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-global")
	saved, err := f.SaveEtcd(ctx)
	Expect(err).NotTo(HaveOccurred())
	f.churn(ctx)
	f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com/after"), set("30-more", "more.example.com", "mirror.example.com"))
	f.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms", "--all")
	f.expectFollowed(ctx, convergeTimeout)
	inForce := f.published(ctx)

	started := time.Now()
	Expect(f.RestoreEtcd(ctx, saved)).To(Succeed())
	reportTime("etcd was restored, and the node Ready, after", started)
	Expect(f.kubectl(ctx, "get", "idms", "-o", "name")).To(Equal("imagedigestmirrorset.config.openshift.io/20-global\n"), "those from before")
	f.expectFollowed(ctx, convergeTimeout)
	reportTime("all nodes followed the restored sets after", started)
	Eventually(func(g Gomega) {
		g.Expect(f.revisions(ctx)).To(Equal(map[int64]int{f.published(ctx): len(f.agents) + 1}))
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(200 * time.Millisecond).Should(Succeed())
	reportTime("and said so after", started)
	Expect(f.published(ctx)).To(BeNumerically(">", inForce))
	f.expectApplied(ctx, "20-global", beApplied())

	started = time.Now()
	f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com/again"))
	f.expectFollowed(ctx, convergeTimeout)
	f.expectApplied(ctx, "20-global", beApplied())
	reportTime("the next change was Applied after", started)
}
