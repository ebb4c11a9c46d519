// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"net/http"
	"slices"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/standing"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// observeDaemonSet does as the DaemonSet controller, which is not here, does once it has looked at the agents' DaemonSet.
func observeDaemonSet(ctx context.Context) *appsv1.DaemonSet {
	GinkgoHelper()
	d := &appsv1.DaemonSet{}
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: operand.AgentName}, d)).To(Succeed())
		d.Status = appsv1.DaemonSetStatus{ObservedGeneration: d.Generation}
		g.Expect(admin.Status().Update(ctx, d)).To(Succeed())
	}).Should(Succeed())
	return d
}

// putPod makes the agent's Pod on a node, which is Ready.
func putPod(ctx context.Context, d *appsv1.DaemonSet, node string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: operand.AgentName + "-" + node, Labels: operand.AgentLabels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("DaemonSet"))}},
		Spec: corev1.PodSpec{NodeName: node, ServiceAccountName: controlplane.AgentAccount, Containers: []corev1.Container{{Name: "agent", Image: "agent"}}},
	}
	Expect(admin.Create(ctx, pod)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, pod, client.GracePeriodSeconds(0)))).To(Succeed())
	})
	setReady(ctx, pod, corev1.ConditionTrue)
	return pod
}

// setReady does as a kubelet, or as the node controller where that is away.
func setReady(ctx context.Context, pod *corev1.Pod, ready corev1.ConditionStatus) {
	GinkgoHelper()
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.Now()}}
	Expect(admin.Status().Update(ctx, pod)).To(Succeed())
}

// appliedOn returns what a node says of what is in force.
func appliedOn(ctx context.Context, name string) func() (metav1.Condition, error) {
	return func() (metav1.Condition, error) {
		var node mirrorsetv1alpha1.MirrorNode
		err := admin.Get(ctx, client.ObjectKey{Name: name}, &node)
		return standing.Condition(&node.Status, mirrorsetv1alpha1.ConditionApplied), err
	}
}

// marks returns how often the manager wrote the status of each node.
func marks() map[string]int {
	GinkgoHelper()
	requests, err := plane.Requests()
	Expect(err).NotTo(HaveOccurred())
	writes := map[string]int{}
	for i := range requests {
		r := &requests[i]
		if r.Object.Resource == "mirrornodes" && r.Object.Subresource == "status" && r.User.Name == user(controlplane.ManagerAccount) && r.Status.Code < http.StatusBadRequest {
			writes[r.Object.Name]++
		}
	}
	return writes
}

var _ = Describe("A node whose agent is not there, while nothing new is published", func() {
	It("is shown as not known a minute later, each by one write, and as in force once its agent says so again", long, func(ctx SpecContext) {
		s := set("silent", entry("quay.io/team", "m1.local/q"))
		create(ctx, s)
		manager := startManager(ctx, alone)
		daemonSet := observeDaemonSet(ctx)
		DeferCleanup(func(ctx SpecContext) {
			takeAway(ctx, "--namespace="+controlplane.Namespace, "daemonset/"+operand.AgentName)
		})
		pods, agents, hosts := map[string]*corev1.Pod{}, map[string]*controlplane.Process{}, map[string]*node{}
		for _, name := range []string{"silent-well", "silent-killed", "silent-cut", "silent-gone"} {
			hosts[name], agents[name] = crioNode(ctx, name)
			pods[name] = putPod(ctx, daemonSet, name)
			hosts[name].wantRules(s)
			Eventually(appliedOn(ctx, name)).Should(HaveField("Status", metav1.ConditionTrue))
		}
		awaitInForce(ctx, s.Name)
		before, writes := marks(), statusWrites()

		began := time.Now()
		agents["silent-killed"].Kill()
		Expect(agents["silent-cut"].Send(syscall.SIGSTOP)).To(Succeed()) // its process goes on later as if nothing had been
		DeferCleanup(agents["silent-cut"].Send, syscall.SIGCONT)
		for _, name := range []string{"silent-killed", "silent-cut"} {
			setReady(ctx, pods[name], corev1.ConditionFalse)
		}
		agents["silent-gone"].Kill()
		Expect(admin.Delete(ctx, pods["silent-gone"], client.GracePeriodSeconds(0))).To(Succeed())
		setReady(ctx, pods["silent-well"], corev1.ConditionFalse) // as when its container is started anew
		setReady(ctx, pods["silent-well"], corev1.ConditionTrue)
		says := func(what string) types.GomegaMatcher {
			return And(HaveField("Status", metav1.ConditionUnknown), HaveField("Reason", mirrorsetv1alpha1.ReasonAgentNotReady), HaveField("Message", ContainSubstring(what)))
		}
		Eventually(appliedOn(ctx, "silent-killed"), "2m").Should(says("its agent's Pod has not been Ready since " + pods["silent-killed"].Status.Conditions[0].LastTransitionTime.UTC().Format(time.RFC3339)))
		Expect(time.Since(began)).To(BeNumerically(">=", time.Minute), "no sooner than a restart takes")
		Eventually(appliedOn(ctx, "silent-cut")).Should(says("pod/mirrorset-agent-silent-cut"))
		Eventually(appliedOn(ctx, "silent-gone")).Should(says("its agent has had no Pod since "))
		out, code := runMirrors(ctx, "nodes", "-o", "wide")
		Expect(out).To(And(MatchRegexp(`silent-killed +CRI-O +\d+ +Silent +\w+ +no +<unknown> +its agent's Pod has not been Ready`), MatchRegexp(`silent-well +CRI-O +\d+ +InForce `)))
		Expect(code).To(BeZero())
		out, _ = runMirrors(ctx, "doctor")
		Expect(out).To(ContainSubstring("no agent repairs them or reports on them"))
		hosts["silent-killed"].keepsRules(s)
		Expect(conditionOf(ctx, s.Name, "Applied")()).To(HaveField("Status", metav1.ConditionTrue), "no node has reported that it lost the set")
		Expect(statusWrites()).To(Equal(writes), "of sets")

		Expect(agents["silent-cut"].Send(syscall.SIGCONT)).To(Succeed())
		again, err := agents["silent-killed"].Again()
		Expect(err).NotTo(HaveOccurred())
		track("agent that came back", again)
		for _, name := range []string{"silent-killed", "silent-cut"} { // before their Pods are Ready, and so without being marked anew
			Eventually(appliedOn(ctx, name)).Should(HaveField("Status", metav1.ConditionTrue))
		}
		Consistently(appliedOn(ctx, "silent-cut"), "3s").Should(HaveField("Status", metav1.ConditionTrue))
		for _, name := range []string{"silent-killed", "silent-cut"} {
			setReady(ctx, pods[name], corev1.ConditionTrue)
		}
		spent := marks()
		for name, n := range map[string]int{"silent-well": 0, "silent-killed": 1, "silent-cut": 1, "silent-gone": 1} {
			Expect(spent[name]-before[name]).To(Equal(n), name)
		}
		Expect(manager.Log()).NotTo(ContainSubstring("forbidden"))
	}, SpecTimeout(5*time.Minute))
})

var _ = Describe("A manager that may not list Pods", func() {
	It("does all else, and says so", func(ctx SpecContext) {
		role := &rbacv1.Role{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: "mirrorset-manager"}, role)).To(Succeed())
		all := slices.Clone(role.Rules)
		DeferCleanup(func(ctx SpecContext) {
			role.Rules = all
			Expect(admin.Update(ctx, role)).To(Succeed())
		})
		role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Equal(r.Resources, []string{"pods"}) })
		Expect(role.Rules).To(HaveLen(len(all) - 1))
		Expect(admin.Update(ctx, role)).To(Succeed())

		manager := startManager(ctx, alone)
		n, _ := crioNode(ctx, "node-1")
		Eventually(manager.Log).Should(ContainSubstring(`cannot list resource \"pods\"`))
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s)
		n.wantRules(s)
		awaitInForce(ctx, "a")
	})
})
