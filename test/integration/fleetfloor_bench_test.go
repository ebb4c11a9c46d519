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
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// agentClients are those that agents have.
type agentClients struct {
	typed   kubernetes.Interface
	untyped dynamic.Interface
}

func newAgentClients(b *testing.B, api *rest.Config) (clients agentClients) {
	b.Helper()
	api = rest.CopyConfig(api)
	api.QPS = -1
	var err error
	clients.untyped, err = dynamic.NewForConfig(api)
	must(b, err)
	api.ContentType, api.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	clients.typed, err = kubernetes.NewForConfig(api)
	must(b, err)
	return clients
}

// startFloorFleet starts as many nodes without our code, with the watches that an agent has, and returns the set that says when all have followed.
func startFloorFleet(b *testing.B, clients agentClients, c client.WithWatch, ours client.Object, agents int) client.Object {
	b.Helper()
	f := startFloor(b, c, ours)
	likeKind(b, c, "mirrornodes", mirrorsetv1alpha1.GroupVersion.Group)
	gvr := mirrorsetv1alpha1.GroupVersion.WithResource("mirrornodes")
	gvr.Group = floorGroup
	nodes := clients.untyped.Resource(gvr)
	core := clients.typed.CoreV1().RESTClient()
	ctx, stop := context.WithCancel(context.Background())
	b.Cleanup(stop)
	follow := func(lw cache.ListerWatcher, object runtime.Object, handle func(object any)) {
		informer := cache.NewSharedIndexInformer(lw, object, 0, cache.Indexers{})
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(_, now any) { handle(now) }})
		must(b, err)
		go informer.RunWithContext(ctx)
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			b.Fatal("what a node of the floor watches cannot be listed")
		}
	}
	ignore := func(any) {}
	var gvk schema.GroupVersionKind
	for i := range agents {
		node := likeness(b, c, &mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: nodeNameOf(i)}})
		gvk = node.GroupVersionKind()
		one := func(name string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", name) }
		follow(cache.NewListWatchFromClient(core, "configmaps", controlplane.Namespace, one(f.configMap.Name)), &corev1.ConfigMap{}, func(object any) {
			if err := reportLike(ctx, nodes, node, object.(*corev1.ConfigMap)); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
		})
		follow(cache.NewListWatchFromClient(core, "configmaps", controlplane.Namespace, one(grants.AuthoritiesName)), &corev1.ConfigMap{}, ignore)
		follow(cache.NewListWatchFromClient(core, "secrets", controlplane.Namespace, one(grants.CredentialsName)), &corev1.Secret{}, ignore)
		informer := dynamicinformer.NewFilteredDynamicInformer(clients.untyped, gvr, "", 0, cache.Indexers{}, func(o *metav1.ListOptions) { o.FieldSelector = one(node.GetName()).String() })
		go informer.Informer().RunWithContext(ctx)
	}
	countReports(b, c, gvk, f.set.DeepCopy(), agents)
	return f.set
}

// reportLike writes the status of a node, as if it had in force what the ConfigMap says.
func reportLike(ctx context.Context, nodes dynamic.ResourceInterface, node *unstructured.Unstructured, cm *corev1.ConfigMap) error {
	revision, err := strconv.ParseInt(cm.Annotations[payload.RevisionAnnotation], 10, 64)
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

// countReports writes the status of the set once all nodes have reported its generation.
func countReports(b *testing.B, c client.WithWatch, nodes schema.GroupVersionKind, set *unstructured.Unstructured, agents int) {
	b.Helper()
	newest, reported := int64(0), map[string]bool{}
	follow(b, c, listOf(nodes), &client.ListOptions{Raw: &metav1.ListOptions{}}, func(object client.Object) error {
		revision, _, err := unstructured.NestedInt64(object.(*unstructured.Unstructured).Object, "status", "revision")
		if err != nil || revision < newest {
			return err
		}
		if revision > newest {
			newest = revision
			clear(reported)
		}
		if reported[object.GetName()] = true; len(reported) < agents {
			return nil
		}
		return sayApplied(b.Context(), c, set, newest)
	})
}

// sayApplied writes the status of a set, as if all nodes had its generation of that revision in force.
func sayApplied(ctx context.Context, c client.Client, set *unstructured.Unstructured, revision int64) error {
	status := runtime.DeepCopyJSON(set.Object["status"].(map[string]any))
	status["revision"], status["observedGeneration"] = revision, revision-revisionOf(0)
	for _, condition := range status["conditions"].([]any) {
		condition.(map[string]any)["observedGeneration"] = status["observedGeneration"]
	}
	apply := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	apply.SetGroupVersionKind(set.GroupVersionKind())
	apply.SetName(set.GetName())
	return c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(apply), client.FieldOwner("floor"), client.ForceOwnership)
}
