// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// floorGroup is the API group of kinds that no manager knows, with the schemas of ours.
const floorGroup = "floor.example.com"

// floor is what is to be held against Mirrorset: the least that brings a change of a set to nodes. One who watches sets writes a ConfigMap, which
// nodes watch. All objects are as large as ours.
type floor struct {
	set       *unstructured.Unstructured
	status    map[string]any // which the set is to have
	configMap *corev1.ConfigMap
}

var configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")

// ofFloor is the floor's resource that is like one of ours.
func ofFloor(ours schema.GroupVersionResource) schema.GroupVersionResource {
	ours.Group = floorGroup
	return ours
}

// startFloor starts one that is like a set of ours, and what is published of it, as they are now.
func startFloor(b *testing.B, c client.Client, watching dynamic.Interface, ours client.Object) *floor {
	b.Helper()
	likeKind(b, c, kinds.Digest.Resource, configv1.GroupVersion.Group)
	set := likeness(b, c, ours)
	published := &corev1.ConfigMap{ObjectMeta: configMapMeta}
	must(b, c.Get(b.Context(), client.ObjectKeyFromObject(published), published))
	status, _, err := unstructured.NestedMap(set.Object, "status")
	must(b, err)
	f := &floor{set: set, status: status, configMap: &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: published.Namespace, Name: "floor", Annotations: published.Annotations, Labels: published.Labels},
		Data:       published.Data,
	}}
	must(b, c.Create(b.Context(), f.configMap))
	text, old := f.configMap.Data[payload.Key], mirrorIn(b, set)
	seen := set.GetGeneration()
	awaitWatches(b, onChange(b, watching, ofFloor(configv1.GroupVersion.WithResource(kinds.Digest.Resource)), "", set.GetName(), func(object *unstructured.Unstructured) error {
		if object.GetGeneration() == seen {
			return nil // of its status
		}
		seen = object.GetGeneration()
		f.configMap.Data[payload.Key] = strings.ReplaceAll(text, old, mirrorIn(b, object))
		f.configMap.Annotations[payload.RevisionAnnotation] = fmt.Sprint(revisionOf(seen))
		return c.Update(b.Context(), f.configMap)
	}))
	return f
}

// revisionOf is a revision, as long as ours, of a generation of a set.
func revisionOf(generation int64) int64 { return 1_000_000_000_000 + generation }

// likeKind has a kind like one of ours served.
func likeKind(b *testing.B, c client.Client, resource, group string) {
	b.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	must(b, c.Get(b.Context(), client.ObjectKey{Name: resource + "." + group}, crd))
	crd.ObjectMeta = metav1.ObjectMeta{Name: resource + "." + floorGroup}
	crd.Spec.Group = floorGroup
	must(b, c.Create(b.Context(), crd))
}

// likeness creates an object of such a kind, like one of ours but for its status, which is returned with it.
func likeness(b *testing.B, c client.Client, ours client.Object) *unstructured.Unstructured {
	b.Helper()
	gvk, err := c.GroupVersionKindFor(ours)
	must(b, err)
	like := &unstructured.Unstructured{}
	like.SetGroupVersionKind(gvk)
	must(b, c.Get(b.Context(), client.ObjectKeyFromObject(ours), like))
	like.SetAPIVersion(floorGroup + "/" + gvk.Version)
	for _, field := range []string{"resourceVersion", "uid", "managedFields", "ownerReferences"} {
		unstructured.RemoveNestedField(like.Object, "metadata", field)
	}
	status := like.Object["status"]
	must(b, wait.PollUntilContextCancel(b.Context(), 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		return c.Create(ctx, like) == nil, nil // once they are served
	}))
	like.Object["status"] = status
	return like
}

// mirrorIn is the first one that a set names.
func mirrorIn(b *testing.B, set *unstructured.Unstructured) string {
	b.Helper()
	entries, _, err := unstructured.NestedSlice(set.Object, "spec", kinds.Digest.Field)
	must(b, err)
	return fmt.Sprint(entries[0].(map[string]any)["mirrors"].([]any)[0])
}

// onChange has each change of objects handled until the benchmark ends: of the one of a name, or of all where that is empty. It returns what says
// that the watch has begun.
func onChange(b *testing.B, c dynamic.Interface, resource schema.GroupVersionResource, namespace, name string, handle func(*unstructured.Unstructured) error) cache.InformerSynced {
	b.Helper()
	one := func(o *metav1.ListOptions) {
		if name != "" {
			o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
		}
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(c, resource, namespace, 0, cache.Indexers{}, one).Informer()
	ctx, stop := context.WithCancel(context.Background())
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(_, now any) {
		if err := handle(now.(*unstructured.Unstructured)); err != nil && b.Context().Err() == nil { // else what was measured is over
			b.Error(err)
		}
	}})
	must(b, err)
	var following sync.WaitGroup
	following.Go(func() { informer.RunWithContext(ctx) })
	b.Cleanup(func() { stop(); following.Wait() })
	return informer.HasSynced
}

// awaitWatches waits until watches have begun.
func awaitWatches(b *testing.B, begun ...cache.InformerSynced) {
	b.Helper()
	if !cache.WaitForCacheSync(b.Context().Done(), begun...) {
		b.Fatal("what is to be watched cannot be listed")
	}
}

// replaceFile writes a file beside the one of that path, and renames it once it is on disk.
func replaceFile(path, text string) error {
	next, err := os.Create(path + ".next")
	if err != nil {
		return err
	}
	_, err = next.WriteString(text)
	if err := errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), path)
}
