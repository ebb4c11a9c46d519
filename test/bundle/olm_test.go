// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"context"
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
)

// installer does what OLM does with a bundle for an OperatorGroup of all namespaces, as OLM's source has it.
type installer struct {
	client.Client
	namespace string
	bundle    *olm.Bundle
	accounts  []string
}

// install makes the objects in OLM's order: the bundle's manifests and the rights come before the Deployment.
func (i *installer) install(ctx context.Context) *appsv1.Deployment {
	GinkgoHelper()
	i.makeNamespace(ctx)
	for _, object := range i.bundle.Manifests {
		object = object.DeepCopy()
		if !slices.Contains([]string{"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PriorityClass"}, object.GetKind()) {
			object.SetNamespace(i.namespace)
		}
		Expect(i.Create(ctx, object)).To(Succeed())
	}
	install := i.bundle.CSV.Spec.Install.Spec
	for n, p := range install.Permissions {
		i.makeAccount(ctx, p.ServiceAccountName)
		i.makeRole(ctx, fmt.Sprintf("%s-%s-%d", i.bundle.CSV.Name, p.ServiceAccountName, n), p)
	}
	for n, p := range install.ClusterPermissions {
		i.makeAccount(ctx, p.ServiceAccountName)
		i.makeClusterRole(ctx, fmt.Sprintf("%s-%d", i.bundle.CSV.Name, n), p.ServiceAccountName, p.Rules)
	}
	Expect(install.Deployments).To(HaveLen(1))
	return i.makeDeployment(ctx, install.Deployments[0])
}

// makeNamespace makes the one that the bundle suggests, by another name, as a user may choose.
func (i *installer) makeNamespace(ctx context.Context) {
	GinkgoHelper()
	namespace := &corev1.Namespace{}
	Expect(yaml.UnmarshalStrict([]byte(i.bundle.CSV.Annotations["operatorframework.io/suggested-namespace-template"]), namespace)).To(Succeed())
	Expect(i.Create(ctx, namespace.DeepCopy(), client.DryRunAll)).To(Succeed())
	namespace.Name = i.namespace
	Expect(i.Create(ctx, namespace)).To(Succeed())
}

func (i *installer) makeAccount(ctx context.Context, name string) {
	GinkgoHelper()
	if !slices.Contains(i.accounts, name) {
		Expect(i.Create(ctx, &corev1.ServiceAccount{ObjectMeta: i.meta(name)})).To(Succeed())
		i.accounts = append(i.accounts, name)
	}
}

// makeRole gives rights in the namespace. As the operator is one for all namespaces, OLM gives them in all others too, and lets the
// account see the namespaces.
func (i *installer) makeRole(ctx context.Context, name string, p olm.Permissions) {
	GinkgoHelper()
	Expect(i.Create(ctx, &rbacv1.Role{ObjectMeta: i.meta(name), Rules: p.Rules})).To(Succeed())
	Expect(i.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: i.meta(name), Subjects: i.subjects(p.ServiceAccountName), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
	})).To(Succeed())
	namespaces := rbacv1.PolicyRule{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"namespaces"}}
	i.makeClusterRole(ctx, name, p.ServiceAccountName, append(slices.Clone(p.Rules), namespaces))
}

func (i *installer) makeClusterRole(ctx context.Context, name, account string, rules []rbacv1.PolicyRule) {
	GinkgoHelper()
	Expect(i.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})).To(Succeed())
	Expect(i.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: i.subjects(account), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
	})).To(Succeed())
}

func (i *installer) subjects(account string) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: i.namespace}}
}

func (i *installer) makeDeployment(ctx context.Context, from olm.Deployment) *appsv1.Deployment {
	GinkgoHelper()
	d := &appsv1.Deployment{ObjectMeta: i.meta(from.Name), Spec: from.Spec}
	d.Labels = map[string]string{"olm.owner": i.bundle.CSV.Name, "olm.owner.kind": "ClusterServiceVersion", "olm.owner.namespace": i.namespace}
	for key, value := range from.Label {
		d.Labels[key] = value
	}
	for key, value := range map[string]string{"olm.operatorGroup": "all", "olm.operatorNamespace": i.namespace, "olm.targetNamespaces": ""} {
		metav1.SetMetaDataAnnotation(&d.Spec.Template.ObjectMeta, key, value)
	}
	for n := range d.Spec.Template.Spec.Containers {
		container := &d.Spec.Template.Spec.Containers[n]
		container.Env = append(container.Env, corev1.EnvVar{Name: "OPERATOR_CONDITION_NAME", Value: i.bundle.CSV.Name})
	}
	Expect(i.Create(ctx, d)).To(Succeed())
	return d
}

func (i *installer) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: i.namespace, Name: name}
}
