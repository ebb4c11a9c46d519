// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/standing"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// There is no DaemonSet controller here: the specs say what it would. The real node has a spec about Pod security itself.
var _ = Describe("A manager whose agents the cluster refuses", func() {
	var daemonSet *appsv1.DaemonSet

	// wants sets how many nodes are to have an agent, and how many have its Pod.
	wants := func(ctx context.Context, desired, current int32) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			daemonSet = &appsv1.DaemonSet{}
			g.Expect(admin.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: operand.AgentName}, daemonSet)).To(Succeed())
			daemonSet.Status = appsv1.DaemonSetStatus{ObservedGeneration: daemonSet.Generation, DesiredNumberScheduled: desired, CurrentNumberScheduled: current, UpdatedNumberScheduled: current}
			g.Expect(admin.Status().Update(ctx, daemonSet)).To(Succeed())
		}).Should(Succeed())
	}
	// fails is a Pod that was not made just now.
	fails := func(ctx context.Context, why string) {
		GinkgoHelper()
		event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, GenerateName: "e-"}, Reason: "FailedCreate", Type: "Warning", Message: "Error creating: " + why,
			InvolvedObject: corev1.ObjectReference{APIVersion: "apps/v1", Kind: "DaemonSet", Namespace: controlplane.Namespace, Name: daemonSet.Name, UID: daemonSet.UID},
			LastTimestamp:  metav1.NewTime(time.Now().Add(time.Second))} // which the API keeps in whole seconds
		Expect(admin.Create(ctx, event)).To(Succeed())
	}
	// start starts a manager, and returns what its /readyz answers.
	start := func(ctx context.Context, args ...string) (manager *controlplane.Process, ready func() int) {
		GinkgoHelper()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		address := listener.Addr().String()
		Expect(listener.Close()).To(Succeed())
		manager = startManager(ctx, append(args, "--health-probe-bind-address="+address)...)
		return manager, func() int {
			response, err := http.Get("http://" + address + "/readyz")
			if err != nil {
				return 0
			}
			defer func() { _ = response.Body.Close() }()
			_, _ = io.Copy(io.Discard, response.Body)
			return response.StatusCode
		}
	}

	BeforeEach(func(ctx SpecContext) {
		takeAway(ctx, "--namespace="+controlplane.Namespace, "daemonset/"+operand.AgentName)
		DeferCleanup(func(ctx SpecContext) {
			Expect(admin.DeleteAllOf(ctx, &corev1.Event{}, client.InNamespace(controlplane.Namespace))).To(Succeed())
			takeAway(ctx, "--namespace="+controlplane.Namespace, "daemonset/"+operand.AgentName)
		})
	})

	It("is not ready, says so once, asks for the Pods again, and is ready once they are made", long, func(ctx SpecContext) {
		manager, ready := start(ctx, alone)
		_, second := start(ctx) // which does not lead, and answers all the same
		Eventually(ready).Should(Equal(http.StatusInternalServerError))
		wants(ctx, 1, 0)
		Consistently(ready, "3s").Should(Equal(http.StatusInternalServerError), "nobody knows yet whether the Pod is let in")
		wants(ctx, 1, 1)
		Eventually(ready).Should(Equal(http.StatusOK))
		Eventually(second).Should(Equal(http.StatusOK))

		wants(ctx, 1, 0)
		fails(ctx, "etcdserver: request timed out")
		Consistently(ready, "13s").Should(Equal(http.StatusOK), "an API server in trouble refuses nothing")
		fails(ctx, `pods "mirrorset-agent-a" is forbidden: violates PodSecurity "baseline:latest": host namespaces`)
		Eventually(ready).Should(Equal(http.StatusInternalServerError))
		Eventually(second).Should(Equal(http.StatusInternalServerError))
		Eventually(manager.Log).Should(ContainSubstring(standing.AllowAgents(controlplane.Namespace)))
		Eventually(func(g Gomega) {
			var all eventsv1.EventList
			g.Expect(admin.List(ctx, &all, client.InNamespace(controlplane.Namespace), client.MatchingFields{"reason": "AgentsRefused"})).To(Succeed())
			g.Expect(all.Items).NotTo(BeEmpty())
			for _, event := range all.Items {
				g.Expect(event.Regarding.Kind + "/" + event.Regarding.Name).To(Equal("Deployment/" + operand.ManagerName))
				g.Expect(event.Note).To(ContainSubstring(standing.AllowAgents(controlplane.Namespace)))
			}
		}).Should(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(daemonSet), daemonSet)).To(Succeed())
			g.Expect(daemonSet.Annotations).To(HaveKey("mirrorset.io/tried-again"))
		}, "2m").Should(Succeed())

		Expect(plane.StopAPIServer()).To(Succeed())
		Consistently(ready, "3s").Should(Equal(http.StatusInternalServerError))
		Expect(plane.StartAPIServer()).To(Succeed())
		wants(ctx, 1, 1)
		Eventually(ready).Should(Equal(http.StatusOK))
	}, SpecTimeout(5*time.Minute))
})
