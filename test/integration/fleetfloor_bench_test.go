// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// newFloorClient returns a client that many nodes share, and that does not limit how much they send at the same time.
func newFloorClient(b *testing.B, api *rest.Config) dynamic.Interface {
	b.Helper()
	api = rest.CopyConfig(api)
	api.QPS = -1
	untyped, err := dynamic.NewForConfig(api)
	must(b, err)
	return untyped
}

// startFloorFleet starts as many nodes without our code, with the watches that an agent has, and returns the set that says when all have followed.
func startFloorFleet(b *testing.B, untyped dynamic.Interface, c client.Client, ours client.Object, agents int) client.Object {
	b.Helper()
	f := startFloor(b, c, untyped, ours)
	likeKind(b, c, "mirrornodes", mirrorsetv1alpha1.GroupVersion.Group)
	resource := ofFloor(mirrorsetv1alpha1.GroupVersion.WithResource("mirrornodes"))
	nodes := untyped.Resource(resource)
	secrets := corev1.SchemeGroupVersion.WithResource("secrets")
	ignore := func(*unstructured.Unstructured) error { return nil }
	var begun []cache.InformerSynced
	for i := range agents {
		node := likeness(b, c, &mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: nodeNameOf(i)}})
		report := func(cm *unstructured.Unstructured) error {
			return reportLike(b.Context(), nodes, node, cm.GetAnnotations()[payload.RevisionAnnotation])
		}
		begun = append(begun,
			onChange(b, untyped, configMaps, controlplane.Namespace, f.configMap.Name, report),
			onChange(b, untyped, configMaps, controlplane.Namespace, grants.AuthoritiesName, ignore),
			onChange(b, untyped, secrets, controlplane.Namespace, grants.CredentialsName, ignore),
			onChange(b, untyped, resource, "", node.GetName(), ignore))
	}
	set := f.set.DeepCopy() // the other one changes
	all := onChange(b, untyped, resource, "", "", countReports(agents, func(revision int64) error {
		return sayApplied(b.Context(), c, set, f.status, revision)
	}))
	awaitWatches(b, append(begun, all)...)
	return f.set
}

// reportLike writes the status of a node, as if it had in force the revision that is published.
func reportLike(ctx context.Context, nodes dynamic.ResourceInterface, node *unstructured.Unstructured, published string) error {
	revision, err := strconv.ParseInt(published, 10, 64)
	if err != nil {
		return err
	}
	status := runtime.DeepCopyJSON(node.Object["status"].(map[string]any))
	status["revision"] = revision
	apply := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	apply.SetGroupVersionKind(node.GroupVersionKind())
	apply.SetName(node.GetName())
	_, err = nodes.ApplyStatus(ctx, node.GetName(), apply, metav1.ApplyOptions{FieldManager: "floor", Force: true})
	return err
}

// countReports returns what calls a function once as many nodes have reported the latest revision.
func countReports(agents int, complete func(revision int64) error) func(node *unstructured.Unstructured) error {
	latest, reported := int64(0), map[string]bool{}
	return func(node *unstructured.Unstructured) error {
		revision, _, err := unstructured.NestedInt64(node.Object, "status", "revision")
		if err != nil || revision < latest {
			return err
		}
		if revision > latest {
			latest = revision
			clear(reported)
		}
		before := len(reported)
		if reported[node.GetName()] = true; before == agents || len(reported) < agents {
			return nil
		}
		return complete(latest)
	}
}

// sayApplied writes the status of a set, as if all nodes had its generation of that revision in force.
func sayApplied(ctx context.Context, c client.Client, set *unstructured.Unstructured, like map[string]any, revision int64) error {
	status := runtime.DeepCopyJSON(like)
	status["revision"], status["observedGeneration"] = revision, revision-revisionOf(0)
	for _, condition := range status["conditions"].([]any) {
		condition.(map[string]any)["observedGeneration"] = status["observedGeneration"]
	}
	apply := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	apply.SetGroupVersionKind(set.GroupVersionKind())
	apply.SetName(set.GetName())
	return c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(apply), client.FieldOwner("floor"), client.ForceOwnership)
}
