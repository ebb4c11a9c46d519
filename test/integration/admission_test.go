// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	mirrorsetv1alpha1ac "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1/applyconfiguration/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// nodeNameClaim is where the API server puts the name of the node that a token is for.
const nodeNameClaim = "authentication.kubernetes.io/node-name"

// accountClient returns a client with a new token of a service account, bound to an object where one is given.
func accountClient(ctx context.Context, account string, boundTo *authenticationv1.BoundObjectReference) client.Client {
	GinkgoHelper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: account}}
	token := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: boundTo}}
	Expect(admin.SubResource("token").Create(ctx, sa, token)).To(Succeed())
	config := rest.AnonymousClientConfig(plane.Config)
	config.BearerToken = token.Status.Token
	c, err := newClient(config)
	Expect(err).NotTo(HaveOccurred())
	return c
}

// agentOn returns a client with the token of an agent's Pod on a node, as a kubelet asks for it.
func agentOn(ctx context.Context, node string) client.Client {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, GenerateName: "agent-"},
		Spec: corev1.PodSpec{
			NodeName: node, ServiceAccountName: controlplane.AgentAccount, Containers: []corev1.Container{{Name: "agent", Image: "agent"}},
		},
	}
	Expect(admin.Create(ctx, pod)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(admin.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
	})
	return accountClient(ctx, controlplane.AgentAccount, &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID})
}

// report applies a status to a node's MirrorNode.
func report(ctx context.Context, c client.Client, node string) error {
	mn := mirrorsetv1alpha1ac.MirrorNode(node).WithStatus(mirrorsetv1alpha1ac.MirrorNodeStatus().WithRevision(7))
	return c.Status().Apply(ctx, mn, client.FieldOwner("test"), client.ForceOwnership)
}

// allow gives a service account, for as long as the spec runs, every right on MirrorNodes.
func allow(ctx context.Context, account string) {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"mirrorset.io"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
	}
	Expect(admin.Create(ctx, role)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, role)).To(Succeed()) })
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: controlplane.Namespace, Name: account}},
	}
	Expect(admin.Create(ctx, binding)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, binding)).To(Succeed()) })
}

// beRefusedByGuard matches the refusal of the policy, not that of the roles, with this part of its message.
func beRefusedByGuard(says string) types.GomegaMatcher {
	return SatisfyAll(Satisfy(apierrors.IsForbidden), MatchError(SatisfyAll(ContainSubstring("'mirrorset-agent-guard'"), ContainSubstring(says))))
}

// beRefusedByRoles matches the refusal of who has no right to do it.
var beRefusedByRoles = SatisfyAll(Satisfy(apierrors.IsForbidden), MatchError(ContainSubstring("cannot ")))

var _ = Describe("With its rights on MirrorNodes, an agent", func() {
	var own, other *mirrorsetv1alpha1.MirrorNode
	BeforeEach(func(ctx SpecContext) {
		own, other = &mirrorsetv1alpha1.MirrorNode{}, &mirrorsetv1alpha1.MirrorNode{}
		own.Name, other.Name = "node-own", "node-other"
		for _, mn := range []*mirrorsetv1alpha1.MirrorNode{own, other} {
			Eventually(func() error { return admin.Create(ctx, mn) }).Should(Succeed()) // once the CRD is served
			DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(admin.Delete(ctx, mn))).To(Succeed()) })
		}
		// The rules are in force once they refuse what nothing else does.
		unbound := accountClient(ctx, controlplane.AgentAccount, nil)
		Eventually(func() error { return report(ctx, unbound, own.Name) }).Should(beRefusedByGuard(""))
	})
	revision := func(ctx context.Context, mn *mirrorsetv1alpha1.MirrorNode) int64 {
		GinkgoHelper()
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(mn), mn)).To(Succeed())
		return mn.Status.Revision
	}

	It("writes the status of its own node, and reads all", func(ctx SpecContext) {
		agent := agentOn(ctx, own.Name)
		Expect(report(ctx, agent, own.Name)).To(Succeed())
		Expect(revision(ctx, own)).To(BeEquivalentTo(7))
		merge := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"revision":8}}`))
		Expect(agent.Status().Patch(ctx, own, merge)).To(Succeed())
		Expect(revision(ctx, own)).To(BeEquivalentTo(8))
		Expect(agent.List(ctx, &mirrorsetv1alpha1.MirrorNodeList{})).To(Succeed())
	})

	It("writes none of another node", func(ctx SpecContext) {
		Expect(report(ctx, agentOn(ctx, own.Name), other.Name)).To(beRefusedByGuard("the agent of node node-own may write only the MirrorNode of that node"))
		Expect(report(ctx, agentOn(ctx, other.Name), own.Name)).To(beRefusedByGuard("the agent of node node-other may write only the MirrorNode of that node"))
		Expect(revision(ctx, own) + revision(ctx, other)).To(BeZero())
	})

	It("is known by the node of its Pod, or by the node that a token is bound to", func(ctx SpecContext) {
		nodeOf := func(c client.Client) []string {
			GinkgoHelper()
			review := &authenticationv1.SelfSubjectReview{}
			Expect(c.Create(ctx, review)).To(Succeed())
			return review.Status.UserInfo.Extra[nodeNameClaim]
		}
		Expect(nodeOf(agentOn(ctx, own.Name))).To(Equal([]string{own.Name}))
		Expect(nodeOf(accountClient(ctx, controlplane.AgentAccount, nil))).To(BeEmpty())

		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: own.Name}}
		Expect(admin.Create(ctx, node)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, node)).To(Succeed()) })
		bound := accountClient(ctx, controlplane.AgentAccount, &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID})
		Expect(nodeOf(bound)).To(Equal([]string{own.Name}))
		Expect(report(ctx, bound, own.Name)).To(Succeed())
		Expect(report(ctx, bound, other.Name)).To(beRefusedByGuard(""))
	})

	It("writes nothing with a token that names no node", func(ctx SpecContext) {
		const says = "the token names no node"
		Expect(report(ctx, accountClient(ctx, controlplane.AgentAccount, nil), own.Name)).To(beRefusedByGuard(says))
		Expect(report(ctx, agentOn(ctx, ""), own.Name)).To(beRefusedByGuard(says))

		config := rest.CopyConfig(plane.Config)
		config.Impersonate = rest.ImpersonationConfig{UserName: user(controlplane.AgentAccount), Groups: groups, Extra: map[string][]string{nodeNameClaim: {""}}}
		impersonator, err := newClient(config)
		Expect(err).NotTo(HaveOccurred())
		Expect(report(ctx, impersonator, own.Name)).To(beRefusedByGuard(says))
	})

	It("has no right to anything but the status", func(ctx SpecContext) {
		agent := agentOn(ctx, own.Name)
		fresh := &mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: "node-fresh"}}
		labels := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`))
		Expect(agent.Create(ctx, fresh)).To(beRefusedByRoles)
		Expect(agent.Update(ctx, own)).To(beRefusedByRoles)
		Expect(agent.Patch(ctx, own, labels)).To(beRefusedByRoles)
		Expect(agent.Status().Update(ctx, own)).To(beRefusedByRoles)
		Expect(agent.Delete(ctx, own)).To(beRefusedByRoles)
		Expect(agent.DeleteAllOf(ctx, own)).To(beRefusedByRoles)
	})

	It("would do no more with more rights", func(ctx SpecContext) {
		allow(ctx, controlplane.AgentAccount)
		agent := agentOn(ctx, own.Name)
		Eventually(func() error { return agent.Delete(ctx, other) }).Should(beRefusedByGuard("may write only the MirrorNode of that node"))
		const says = "an agent may update only the status"
		labels := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`))
		Expect(agent.Patch(ctx, own, labels)).To(beRefusedByGuard(says))
		Expect(agent.Delete(ctx, own)).To(beRefusedByGuard(says))
		Expect(agent.DeleteAllOf(ctx, own)).To(beRefusedByGuard(""))
		Expect(admin.Delete(ctx, own)).To(Succeed())
		own.ResourceVersion, own.UID = "", ""
		Expect(agent.Create(ctx, own)).To(beRefusedByGuard(says))
	})

	It("is held by what kubectl mirrors uninstall finds by its label", func(ctx SpecContext) {
		for kind, n := range map[string]int{"validatingadmissionpolicies": 2, "validatingadmissionpolicybindings": 2, "customresourcedefinitions": 3} {
			all, err := plane.Kubectl(ctx, "get", kind, "-o", "name").Output()
			Expect(err).NotTo(HaveOccurred())
			labelled, err := plane.Kubectl(ctx, "get", kind, "-o", "name", "-l", "app.kubernetes.io/part-of=mirrorset").Output()
			Expect(err).NotTo(HaveOccurred())
			Expect(string(labelled)).To(Equal(string(all)))
			Expect(strings.Fields(string(all))).To(HaveLen(n), kind)
		}
	})

	It("is refused where the rules themselves fail", func(ctx SpecContext) {
		policy, binding := &admissionregistrationv1.ValidatingAdmissionPolicy{}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: "mirrorset-agent-guard"}, policy)).To(Succeed())
		Expect(admin.Get(ctx, client.ObjectKey{Name: "mirrorset-agent-guard"}, binding)).To(Succeed())
		Expect(policy.Spec.FailurePolicy).To(HaveValue(Equal(admissionregistrationv1.Fail)))
		Expect(binding.Spec.ValidationActions).To(ConsistOf(admissionregistrationv1.Deny))
	})

	It("alone is concerned", func(ctx SpecContext) {
		Expect(report(ctx, admin, own.Name)).To(Succeed())
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: controlplane.Namespace, Name: "stranger"}}
		Expect(admin.Create(ctx, sa)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, sa)).To(Succeed()) })
		allow(ctx, sa.Name)
		stranger := accountClient(ctx, sa.Name, nil)
		Eventually(func() error { return report(ctx, stranger, own.Name) }).Should(Succeed())
		Expect(report(ctx, stranger, other.Name)).To(Succeed())
		Expect(stranger.Delete(ctx, other)).To(Succeed())
	})
})
