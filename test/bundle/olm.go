// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bundle installs the OLM bundle as OLM does.
package bundle

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

// Installer does what OLM does with a bundle for an OperatorGroup of all namespaces, as OLM's source has it.
type Installer struct {
	client.Client
	Namespace string
	Bundle    *olm.Bundle
	// Env is spec.config.env of the Subscription.
	Env []corev1.EnvVar
	// Change, if it is not nil, changes the Deployment before it is made.
	Change func(*appsv1.Deployment)

	accounts []string
	made     []client.Object // that go with the ClusterServiceVersion
}

// Install makes the objects in OLM's order: the bundle's manifests and the rights come before the Deployment.
func (i *Installer) Install(ctx context.Context) *appsv1.Deployment {
	GinkgoHelper()
	i.makeNamespace(ctx)
	for _, object := range i.Bundle.Manifests {
		object = object.DeepCopy()
		if !slices.Contains([]string{"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PriorityClass"}, object.GetKind()) {
			object.SetNamespace(i.Namespace)
		}
		if slices.Contains([]string{"CustomResourceDefinition", "ClusterRole"}, object.GetKind()) { // stay: OLM does not mark them as the CSV's
			Expect(i.Create(ctx, object)).To(Succeed())
			continue
		}
		i.make(ctx, object)
	}
	install := i.Bundle.CSV.Spec.Install.Spec
	for n, p := range install.Permissions {
		i.makeAccount(ctx, p.ServiceAccountName)
		i.makeRole(ctx, fmt.Sprintf("%s-%s-%d", i.Bundle.CSV.Name, p.ServiceAccountName, n), p)
	}
	for n, p := range install.ClusterPermissions {
		i.makeAccount(ctx, p.ServiceAccountName)
		i.makeClusterRole(ctx, fmt.Sprintf("%s-%d", i.Bundle.CSV.Name, n), p.ServiceAccountName, p.Rules)
	}
	Expect(install.Deployments).To(HaveLen(1))
	return i.makeDeployment(ctx, install.Deployments[0])
}

// makeNamespace creates the namespace that the bundle suggests, but with another name, as a user may choose.
func (i *Installer) makeNamespace(ctx context.Context) {
	GinkgoHelper()
	namespace := &corev1.Namespace{}
	Expect(yaml.UnmarshalStrict([]byte(i.Bundle.CSV.Annotations["operatorframework.io/suggested-namespace-template"]), namespace)).To(Succeed())
	Expect(i.Create(ctx, namespace.DeepCopy(), client.DryRunAll)).To(Succeed())
	namespace.Name = i.Namespace
	Expect(i.Create(ctx, namespace)).To(Succeed())
}

func (i *Installer) makeAccount(ctx context.Context, name string) {
	GinkgoHelper()
	if !slices.Contains(i.accounts, name) {
		i.make(ctx, &corev1.ServiceAccount{ObjectMeta: i.meta(name)})
		i.accounts = append(i.accounts, name)
	}
}

// makeRole gives rights in the namespace. As the operator is one for all namespaces, OLM gives them in all others too, and lets the
// account see the namespaces.
func (i *Installer) makeRole(ctx context.Context, name string, p olm.Permissions) {
	GinkgoHelper()
	i.make(ctx, &rbacv1.Role{ObjectMeta: i.meta(name), Rules: p.Rules})
	i.make(ctx, &rbacv1.RoleBinding{
		ObjectMeta: i.meta(name), Subjects: i.subjects(p.ServiceAccountName), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
	})
	namespaces := rbacv1.PolicyRule{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"namespaces"}}
	i.makeClusterRole(ctx, name, p.ServiceAccountName, append(slices.Clone(p.Rules), namespaces))
}

func (i *Installer) makeClusterRole(ctx context.Context, name, account string, rules []rbacv1.PolicyRule) {
	GinkgoHelper()
	i.make(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
	i.make(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: i.subjects(account), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
	})
}

func (i *Installer) subjects(account string) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: i.Namespace}}
}

func (i *Installer) makeDeployment(ctx context.Context, from olm.Deployment) *appsv1.Deployment {
	GinkgoHelper()
	d := &appsv1.Deployment{ObjectMeta: i.meta(from.Name), Spec: from.Spec}
	d.Labels = map[string]string{"olm.owner": i.Bundle.CSV.Name, "olm.owner.kind": "ClusterServiceVersion", "olm.owner.namespace": i.Namespace}
	for key, value := range from.Label {
		d.Labels[key] = value
	}
	for key, value := range map[string]string{"olm.operatorGroup": "all", "olm.operatorNamespace": i.Namespace, "olm.targetNamespaces": ""} {
		metav1.SetMetaDataAnnotation(&d.Spec.Template.ObjectMeta, key, value)
	}
	for n := range d.Spec.Template.Spec.Containers {
		container := &d.Spec.Template.Spec.Containers[n]
		container.Env = append(container.Env, corev1.EnvVar{Name: "OPERATOR_CONDITION_NAME", Value: i.Bundle.CSV.Name})
		container.Env = append(container.Env, i.Env...)
	}
	if i.Change != nil {
		i.Change(d)
	}
	i.make(ctx, d)
	return d
}

func (i *Installer) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: i.Namespace, Name: name}
}

func (i *Installer) make(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(i.Create(ctx, object)).To(Succeed())
	i.made = append(i.made, object)
}

// Remove deletes what OLM does when the ClusterServiceVersion is deleted.
func (i *Installer) Remove(ctx context.Context) {
	GinkgoHelper()
	for _, object := range slices.Backward(i.made) {
		Expect(i.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
	}
}
