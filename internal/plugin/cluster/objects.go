// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"

	"github.com/mirrorset/mirrorset/internal/apiclient"
)

// objects reads and writes objects of Kubernetes itself, as its clientset would.
type objects struct {
	core, apps, authentication rest.Interface
}

func newObjects(config *rest.Config) (o objects, err error) {
	if o.core, err = apiclient.New(config, corev1.SchemeGroupVersion, corev1.AddToScheme); err != nil {
		return o, err
	}
	if o.apps, err = apiclient.New(config, appsv1.SchemeGroupVersion, appsv1.AddToScheme); err != nil {
		return o, err
	}
	o.authentication, err = apiclient.New(config, authenticationv1.SchemeGroupVersion, authenticationv1.AddToScheme)
	return o, err
}

// Pods are those of a namespace.
func (o objects) Pods(namespace string) *gentype.ClientWithList[*corev1.Pod, *corev1.PodList] {
	return gentype.NewClientWithList("pods", o.core, metav1.ParameterCodec, namespace, empty[corev1.Pod], empty[corev1.PodList])
}

// Events are those of a namespace.
func (o objects) Events(namespace string) *gentype.ClientWithList[*corev1.Event, *corev1.EventList] {
	return gentype.NewClientWithList("events", o.core, metav1.ParameterCodec, namespace, empty[corev1.Event], empty[corev1.EventList])
}

// KubernetesNodes are the Nodes.
func (o objects) KubernetesNodes() *gentype.ClientWithList[*corev1.Node, *corev1.NodeList] {
	return gentype.NewClientWithList("nodes", o.core, metav1.ParameterCodec, metav1.NamespaceAll, empty[corev1.Node], empty[corev1.NodeList])
}

// Namespaces are all of them.
func (o objects) Namespaces() *gentype.ClientWithList[*corev1.Namespace, *corev1.NamespaceList] {
	return gentype.NewClientWithList("namespaces", o.core, metav1.ParameterCodec, metav1.NamespaceAll, empty[corev1.Namespace], empty[corev1.NamespaceList])
}

// Secrets are those of a namespace.
func (o objects) Secrets(namespace string) *gentype.Client[*corev1.Secret] {
	return gentype.NewClient("secrets", o.core, metav1.ParameterCodec, namespace, empty[corev1.Secret])
}

// ConfigMaps are those of a namespace.
func (o objects) ConfigMaps(namespace string) *gentype.Client[*corev1.ConfigMap] {
	return gentype.NewClient("configmaps", o.core, metav1.ParameterCodec, namespace, empty[corev1.ConfigMap])
}

// Deployments are those of a namespace.
func (o objects) Deployments(namespace string) *gentype.Client[*appsv1.Deployment] {
	return gentype.NewClient("deployments", o.apps, metav1.ParameterCodec, namespace, empty[appsv1.Deployment])
}

// DaemonSets are those of a namespace.
func (o objects) DaemonSets(namespace string) *gentype.Client[*appsv1.DaemonSet] {
	return gentype.NewClient("daemonsets", o.apps, metav1.ParameterCodec, namespace, empty[appsv1.DaemonSet])
}

// ControllerRevisions are those of a namespace.
func (o objects) ControllerRevisions(namespace string) *gentype.ClientWithList[*appsv1.ControllerRevision, *appsv1.ControllerRevisionList] {
	return gentype.NewClientWithList("controllerrevisions", o.apps, metav1.ParameterCodec, namespace, empty[appsv1.ControllerRevision], empty[appsv1.ControllerRevisionList])
}

// SelfSubjectReviews say who asks.
func (o objects) SelfSubjectReviews() *gentype.Client[*authenticationv1.SelfSubjectReview] {
	return gentype.NewClient("selfsubjectreviews", o.authentication, metav1.ParameterCodec, metav1.NamespaceNone, empty[authenticationv1.SelfSubjectReview])
}

// Resources are those that are served of a version of a group.
func (o objects) Resources(ctx context.Context, version schema.GroupVersion) (*metav1.APIResourceList, error) {
	list := &metav1.APIResourceList{}
	return list, o.core.Get().AbsPath("/apis/" + version.String()).Do(ctx).Into(list)
}

func empty[T any]() *T {
	return new(T)
}

// execOptions encodes those of a command in a container.
func execOptions() runtime.ParameterCodec {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		panic(err) // the types are built in
	}
	return runtime.NewParameterCodec(scheme)
}
