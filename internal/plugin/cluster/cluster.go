// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster is what the verbs of kubectl mirrors see of a cluster that Mirrorset is installed in: sets, nodes, and what is
// published, as the user of the kubeconfig may read them.
package cluster

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// The resources of Mirrorset.
var (
	NodeResource = mirrorsetv1alpha1.GroupVersion.WithResource("mirrornodes")
)

// What config/default installs.
const (
	Namespace         = "mirrorset-system"
	ManagerDeployment = "mirrorset-manager"
	AgentDaemonSet    = "mirrorset-agent"
)

// Selectors of the Pods.
const (
	ManagerPods = "app.kubernetes.io/name=mirrorset,app.kubernetes.io/component=manager"
	AgentPods   = "app.kubernetes.io/name=mirrorset,app.kubernetes.io/component=agent"
)

// Cluster is one that Mirrorset is installed in, as the user of the kubeconfig may see it.
type Cluster struct {
	Namespace string
	Dynamic   dynamic.Interface

	objects
	config *rest.Config
	lacks  []*kinds.Kind // as it was when the sets were read last
}

// Nodes returns what all nodes say of themselves, in the order of their names.
func (c *Cluster) Nodes(ctx context.Context) ([]mirrorsetv1alpha1.MirrorNode, error) {
	return list(ctx, c, NodeResource, As[mirrorsetv1alpha1.MirrorNode])
}

// ConfigMap returns the one that the agents follow.
func (c *Cluster) ConfigMap(ctx context.Context) (*corev1.ConfigMap, error) {
	cm, err := c.ConfigMaps(c.Namespace).Get(ctx, payload.ConfigMapName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no ConfigMap %s in namespace %s, so nothing is published; name the namespace that Mirrorset is installed in with --namespace: %w", payload.ConfigMapName, c.Namespace, err)
	}
	return cm, err
}

// list reads a resource in pages, so that a large fleet is no burden to the API server.
func list[T any](ctx context.Context, c *Cluster, resource schema.GroupVersionResource, as func(any) (T, error)) (items []T, err error) {
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.Dynamic.Resource(resource).List(ctx, options)
	}
	err = pager.New(page).EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		item, err := as(object)
		if err != nil {
			return fmt.Errorf("%s %w", resource.GroupResource(), err)
		}
		items = append(items, item)
		return nil
	})
	return items, NotServed(resource, err)
}

// As converts what the dynamic client returned. An error names the object.
func As[T any](object any) (item T, err error) {
	return item, convert(object, &item)
}

func convert(object, into any) error {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return errors.New("the API server's answer is not an object")
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, into); err != nil {
		return fmt.Errorf("%s: %w", u.GetName(), err)
	}
	return nil
}

// NotServed says what it means that a resource is not found.
func NotServed(resource schema.GroupVersionResource, err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the API server does not serve %s; check that Mirrorset is installed in this cluster: %w", resource.GroupResource(), err)
	}
	return err
}

// ReadyAgents counts the nodes whose agent is of the latest version and ready.
func ReadyAgents(d *appsv1.DaemonSet) int32 {
	return min(d.Status.UpdatedNumberScheduled, d.Status.NumberAvailable, d.Status.NumberReady)
}

// IsReady reports whether a Pod says so.
func IsReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
