// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// asks are the rights that accounts are checked for: rights that the two need, rights close to these, and rights that could do harm.
var asks = []authorizationv1.ResourceAttributes{
	{Resource: "configmaps", Name: payload.ConfigMapName, Namespace: controlplane.Namespace},
	{Resource: "configmaps", Name: "another", Namespace: controlplane.Namespace},
	{Resource: "configmaps", Namespace: controlplane.Namespace},
	{Resource: "configmaps", Name: payload.ConfigMapName, Namespace: "default"},
	{Resource: "configmaps"},
	{Resource: "secrets", Namespace: controlplane.Namespace},
	{Resource: "secrets", Name: payload.ConfigMapName, Namespace: controlplane.Namespace},
	{Resource: "secrets", Name: grants.CredentialsName, Namespace: controlplane.Namespace},
	{Resource: "secrets", Name: grants.CredentialsName, Namespace: "default"},
	{Resource: "configmaps", Name: grants.AuthoritiesName, Namespace: controlplane.Namespace},
	{Resource: "configmaps", Name: grants.AuthoritiesName, Namespace: "default"},
	{Resource: "serviceaccounts", Subresource: "token", Name: controlplane.ManagerAccount, Namespace: controlplane.Namespace},
	{Resource: "pods", Namespace: controlplane.Namespace},
	{Resource: "pods", Subresource: "exec", Namespace: controlplane.Namespace},
	{Resource: "nodes"},
	{Resource: "nodes", Subresource: "proxy"},
	{Resource: "namespaces"},
	{Resource: "namespaces", Name: controlplane.Namespace, Namespace: controlplane.Namespace},
	{Resource: "namespaces", Name: "default", Namespace: "default"},
	{Resource: "events", Namespace: controlplane.Namespace},
	{Resource: "events", Namespace: "default"},
	{Group: "events.k8s.io", Resource: "events", Namespace: "default"},
	{Group: "apps", Resource: "daemonsets", Namespace: controlplane.Namespace},
	{Group: "apps", Resource: "daemonsets", Name: operand.AgentName, Namespace: controlplane.Namespace},
	{Group: "apps", Resource: "daemonsets", Name: operand.AgentName, Namespace: "default"},
	{Group: "apps", Resource: "controllerrevisions", Namespace: controlplane.Namespace},
	{Group: "apps", Resource: "controllerrevisions", Namespace: "default"},
	{Group: "apps", Resource: "deployments", Namespace: controlplane.Namespace},
	{Group: "apps", Resource: "deployments", Name: operand.ManagerName, Namespace: controlplane.Namespace},
	{Group: "coordination.k8s.io", Resource: "leases", Name: "mirrorset-manager", Namespace: controlplane.Namespace},
	{Group: "coordination.k8s.io", Resource: "leases", Name: "another", Namespace: controlplane.Namespace},
	{Group: "config.openshift.io", Resource: "imagedigestmirrorsets"},
	{Group: "config.openshift.io", Resource: "imagedigestmirrorsets", Subresource: "status"},
	{Group: "config.openshift.io", Resource: "imagetagmirrorsets"},
	{Group: "config.openshift.io", Resource: "imagetagmirrorsets", Subresource: "status"},
	{Group: "config.openshift.io", Resource: "imagecontentpolicies"},
	{Group: "mirrorset.io", Resource: "mirrornodes"},
	{Group: "mirrorset.io", Resource: "mirrornodes", Subresource: "status"},
	{Group: "mirrorset.io", Resource: "others"},
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: kinds.Digest.CRDName()},
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: kinds.Tag.CRDName()},
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: nodesCRD},
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: proxiesCRD},
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: apiServersCRD},
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: olmCRD},
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "others.example.com"},
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"},
	{Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicies", Name: guard},
	{Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicybindings", Name: guard},
	{Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicies", Name: "another"},
	{Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations"},
	{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"},
	{Group: "rbac.authorization.k8s.io", Resource: "rolebindings", Namespace: controlplane.Namespace},
	{Group: "authentication.k8s.io", Resource: "tokenreviews"},
	{Group: "authorization.k8s.io", Resource: "subjectaccessreviews"},
}

var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "bind", "escalate", "impersonate"}

// groups are those of every service account of the namespace.
var groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + controlplane.Namespace, "system:authenticated"}

func user(account string) string {
	return "system:serviceaccount:" + controlplane.Namespace + ":" + account
}

// granted asks the API server for each verb on each of asks, and returns what an account may do.
func granted(ctx context.Context, account string) []string {
	GinkgoHelper()
	var may []string
	for _, ask := range asks {
		for _, verb := range verbs {
			ask.Verb = verb
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User:               user(account),
				Groups:             groups,
				ResourceAttributes: &ask,
			}}
			Expect(admin.Create(ctx, review)).To(Succeed())
			if review.Status.Allowed {
				may = append(may, verb+" "+strings.Join(slices.DeleteFunc([]string{ask.Namespace, ask.Resource, ask.Subresource, ask.Name}, func(s string) bool { return s == "" }), "/"))
			}
		}
	}
	return may
}

var _ = Describe("The service account of", func() {
	const (
		configMap = controlplane.Namespace + "/configmaps/" + payload.ConfigMapName
		daemonSet = controlplane.Namespace + "/daemonsets/" + operand.AgentName
		manager   = controlplane.Namespace + "/deployments/" + operand.ManagerName
		records   = controlplane.Namespace + "/controllerrevisions"
		events    = controlplane.Namespace + "/events"
		lease     = controlplane.Namespace + "/leases/mirrorset-manager"
		crds      = "customresourcedefinitions/"
		policy    = "validatingadmissionpolicies/" + guard
		binding   = "validatingadmissionpolicybindings/" + guard
	)
	crd, tagCRD := crds+kinds.Digest.CRDName(), crds+kinds.Tag.CRDName()
	DescribeTable("may do what it must and no more", func(ctx SpecContext, account string, want []string) {
		Expect(granted(ctx, account)).To(ConsistOf(want))
	},
		Entry("the agent", controlplane.AgentAccount, []string{
			"list " + configMap, "watch " + configMap,
			"list " + controlplane.Namespace + "/secrets/" + grants.CredentialsName, "watch " + controlplane.Namespace + "/secrets/" + grants.CredentialsName,
			"list " + controlplane.Namespace + "/configmaps/" + grants.AuthoritiesName, "watch " + controlplane.Namespace + "/configmaps/" + grants.AuthoritiesName,
			"get " + manager, "list " + manager, "watch " + manager, "get " + controlplane.Namespace + "/namespaces/" + controlplane.Namespace,
			"list mirrornodes", "watch mirrornodes", "patch mirrornodes/status",
		}),
		Entry("the manager", controlplane.ManagerAccount, []string{
			"get " + configMap, "list " + configMap, "watch " + configMap, "create " + configMap, "patch " + configMap, "delete " + configMap,
			"get " + lease, "update " + lease, "create " + lease, "create " + controlplane.Namespace + "/leases/another",
			"get " + daemonSet, "list " + daemonSet, "watch " + daemonSet, "create " + daemonSet, "patch " + daemonSet,
			"get " + manager, "list " + manager, "watch " + manager,
			"list " + records, "create " + records, "patch " + records, "delete " + records,
			"create " + events, "list " + events,
			"list " + controlplane.Namespace + "/pods", "watch " + controlplane.Namespace + "/pods",
			"list imagedigestmirrorsets", "watch imagedigestmirrorsets", "list imagetagmirrorsets", "watch imagetagmirrorsets",
			"get " + tagCRD, "list " + tagCRD, "watch " + tagCRD, "create " + tagCRD, "patch " + tagCRD,
			"get " + crd, "list " + crd, "watch " + crd, "create " + crd, "patch " + crd, "get " + crds + olmCRD,
			"get " + crds + nodesCRD, "create " + crds + nodesCRD, "patch " + crds + nodesCRD,
			"get " + crds + proxiesCRD, "create " + crds + proxiesCRD, "patch " + crds + proxiesCRD,
			"get " + crds + apiServersCRD, "create " + crds + apiServersCRD, "patch " + crds + apiServersCRD,
			"get " + policy, "create " + policy, "patch " + policy, "get " + binding, "create " + binding, "patch " + binding,
			"get " + controlplane.Namespace + "/namespaces/" + controlplane.Namespace,
			"patch imagedigestmirrorsets/status", "patch imagetagmirrorsets/status", "list nodes", "watch nodes",
			"list mirrornodes", "watch mirrornodes", "create mirrornodes", "patch mirrornodes", "delete mirrornodes", "patch mirrornodes/status",
			"create default/events", "patch default/events", // of events.k8s.io; those of cluster-scoped objects are there
			"create tokenreviews", "create subjectaccessreviews",
		}),
	)

	It("the agent has no rules but these beside those of every service account", func(ctx SpecContext) {
		for _, namespace := range []string{controlplane.Namespace, "default", "kube-system"} {
			want := append(rulesOf(ctx, "default", namespace),
				authorizationv1.ResourceRule{Verbs: []string{"list", "watch"}, APIGroups: []string{"mirrorset.io"}, Resources: []string{"mirrornodes"}},
				authorizationv1.ResourceRule{Verbs: []string{"patch"}, APIGroups: []string{"mirrorset.io"}, Resources: []string{"mirrornodes/status"}},
			)
			if namespace == controlplane.Namespace {
				want = append(want,
					authorizationv1.ResourceRule{Verbs: []string{"list", "watch"}, APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{payload.ConfigMapName, grants.AuthoritiesName}},
					authorizationv1.ResourceRule{Verbs: []string{"list", "watch"}, APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{grants.CredentialsName}},
					authorizationv1.ResourceRule{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: []string{operand.ManagerName}},
					authorizationv1.ResourceRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"namespaces"}},
				)
			}
			Expect(rulesOf(ctx, controlplane.AgentAccount, namespace)).To(ConsistOf(want))
		}
	})
})

// rulesOf asks the API server for all that an account may do in a namespace and in the cluster.
func rulesOf(ctx context.Context, account, namespace string) []authorizationv1.ResourceRule {
	GinkgoHelper()
	config := rest.CopyConfig(plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user(account), Groups: groups}
	c, err := newClient(config)
	Expect(err).NotTo(HaveOccurred())
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	Expect(c.Create(ctx, review)).To(Succeed())
	return review.Status.ResourceRules
}
