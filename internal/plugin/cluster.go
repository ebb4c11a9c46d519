// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// The resources of Mirrorset.
var (
	setResource  = configv1.GroupVersion.WithResource("imagedigestmirrorsets")
	nodeResource = mirrorsetv1alpha1.GroupVersion.WithResource("mirrornodes")
)

// clusterFlags are the flags that every kubectl command has to find a cluster by. The namespace is that of Mirrorset.
type clusterFlags struct {
	*genericclioptions.ConfigFlags
}

func newClusterFlags() clusterFlags {
	flags := genericclioptions.NewConfigFlags(true)
	*flags.Namespace = installedNamespace
	return clusterFlags{flags}
}

func (f clusterFlags) addFlags(cmd *cobra.Command) {
	f.AddFlags(cmd.Flags())
	cmd.Flags().Lookup("namespace").Usage = "namespace that Mirrorset is installed in"
	f.addCompletions(cmd)
}

// connect returns the cluster that the flags and the kubeconfig name. Nothing is asked of it yet.
func (f clusterFlags) connect() (*cluster, error) {
	config, err := f.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	c := &cluster{namespace: *f.Namespace}
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	return c, nil
}

// cluster is one that Mirrorset is installed in, as the user of the kubeconfig may see it.
type cluster struct {
	namespace string
	client    kubernetes.Interface
	dynamic   dynamic.Interface
}

// sets returns all sets, in the order of their names.
func (c *cluster) sets(ctx context.Context) (sets []configv1.ImageDigestMirrorSet, err error) {
	err = c.list(ctx, setResource, func(object map[string]any) error {
		var set configv1.ImageDigestMirrorSet
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, &set)
		sets = append(sets, set)
		return err
	})
	return sets, err
}

// nodes returns what all nodes say of themselves, in the order of their names.
func (c *cluster) nodes(ctx context.Context) (nodes []mirrorsetv1alpha1.MirrorNode, err error) {
	err = c.list(ctx, nodeResource, func(object map[string]any) error {
		var node mirrorsetv1alpha1.MirrorNode
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, &node)
		nodes = append(nodes, node)
		return err
	})
	return nodes, err
}

// configMap returns the one that the agents follow.
func (c *cluster) configMap(ctx context.Context) (*corev1.ConfigMap, error) {
	cm, err := c.client.CoreV1().ConfigMaps(c.namespace).Get(ctx, payload.ConfigMapName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no ConfigMap %s in namespace %s, so nothing is published; where is Mirrorset installed? See --namespace: %w", payload.ConfigMapName, c.namespace, err)
	}
	return cm, err
}

// published returns what the ConfigMap holds. Its text is for registriesconf.Decode.
func (c *cluster) published(ctx context.Context) (payload.Payload, error) {
	cm, err := c.configMap(ctx)
	if err != nil {
		return payload.Payload{}, err
	}
	return payload.Read(cm)
}

// list reads a resource in pages, so that a large fleet is no burden to the API server.
func (c *cluster) list(ctx context.Context, resource schema.GroupVersionResource, each func(object map[string]any) error) error {
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.dynamic.Resource(resource).List(ctx, options)
	}
	err := pager.New(page).EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		item, ok := object.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("%s: a list of %T", resource.GroupResource(), object)
		}
		if err := each(item.Object); err != nil {
			return fmt.Errorf("%s %s: %w", resource.GroupResource(), item.GetName(), err)
		}
		return nil
	})
	return notServed(resource, err)
}

// notServed says what it means that a resource is not found.
func notServed(resource schema.GroupVersionResource, err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the cluster does not serve %s; is Mirrorset installed there? %w", resource.GroupResource(), err)
	}
	return err
}
