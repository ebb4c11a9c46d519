// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
)

// lateReader has something happen after MirrorNodes were listed, as where a cache is behind.
type lateReader struct {
	client.Client
	meanwhile func()
}

func (r *lateReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	err := r.Client.List(ctx, list, options...)
	if _, ok := list.(*mirrorsetv1alpha1.MirrorNodeList); ok {
		r.meanwhile()
	}
	return err
}

var _ = Describe("The keeper of MirrorNodes", func() {
	It("marks a node as silent, and never over what its agent has reported meanwhile", func(ctx SpecContext) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
		Expect(admin.Create(ctx, node)).To(Succeed())
		reader := &lateReader{Client: admin, meanwhile: func() {}}
		keeper := &fleet.Keeper{Client: reader, Board: &controller.Board{}}
		mn := &mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}
		pass := func(g Gomega) string {
			_, err := keeper.Reconcile(ctx, ctrl.Request{})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(mn), mn)).To(Succeed())
			if c := meta.FindStatusCondition(mn.Status.Conditions, mirrorsetv1alpha1.ConditionApplied); c != nil {
				return c.Reason
			}
			return ""
		}
		Eventually(pass).Should(Equal(mirrorsetv1alpha1.ReasonNeverReported)) // once MirrorNodes are served

		mn.Status = mirrorsetv1alpha1.MirrorNodeStatus{}
		Expect(admin.Status().Update(ctx, mn)).To(Succeed())
		reader.meanwhile = func() {
			meta.SetStatusCondition(&mn.Status.Conditions, metav1.Condition{Type: mirrorsetv1alpha1.ConditionApplied, Status: metav1.ConditionTrue, Reason: mirrorsetv1alpha1.ReasonInForce})
			Expect(admin.Status().Update(ctx, mn)).To(Succeed())
		}
		Expect(pass(Default)).To(Equal(mirrorsetv1alpha1.ReasonInForce))
	})
})
