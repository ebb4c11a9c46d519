// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/nodestatus"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// applied counts what is written.
type applied struct {
	dynamic.ResourceInterface
	statuses []map[string]any
}

func (a *applied) ApplyStatus(_ context.Context, _ string, object *unstructured.Unstructured, _ metav1.ApplyOptions) (*unstructured.Unstructured, error) {
	status, _, err := unstructured.NestedMap(object.Object, "status")
	a.statuses = append(a.statuses, status)
	return object, err
}

func TestWhatIsSeenOfPullsWaitsForItsTurnAndIsWrittenThen(t *testing.T) { // V6
	synctest.Test(t, func(t *testing.T) {
		writes := &applied{}
		r := &reporter{
			nodes: writes, name: "node-1", log: logr.Discard(),
			queue:    workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[struct{}](retryFirst, retryLast)),
			informer: cache.NewSharedIndexInformer(nil, &unstructured.Unstructured{}, 0, nil),
		}
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		err := r.informer.GetStore().Add(&unstructured.Unstructured{Object: map[string]any{
			"apiVersion": mirrorsetv1alpha1.GroupVersion.String(), "kind": "MirrorNode",
			"metadata": map[string]any{"name": "node-1", "resourceVersion": "1", "annotations": map[string]any{mirrorsetv1alpha1.RuntimeAnnotation: "containerd://2.4.2"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		go func() { // what run does, without the watch
			for {
				item, shutdown := r.queue.Get()
				if shutdown {
					return
				}
				if err := r.write(ctx); err != nil {
					t.Error(err)
				}
				r.queue.Done(item)
			}
		}()
		go func() {
			<-ctx.Done()
			r.queue.ShutDown()
		}()
		saw := func(images int) {
			o := nodestatus.Outcome{Revision: 1, Digest: "d", Observed: sink.Observed{Runtime: nodecheck.Containerd}}
			if images > 0 {
				o.Observed.WouldRefuse = []sink.WouldRefuse{{Source: "s.com", Count: images, Images: []string{"s.com/a:1"}}}
			}
			r.report(o)
		}
		want := func(when string, n int, images string) {
			t.Helper()
			synctest.Wait()
			if len(writes.statuses) != n {
				t.Fatalf("%s: %d writes, want %d", when, len(writes.statuses), n)
			}
			if got := fmt.Sprint(writes.statuses[n-1]["wouldRefuse"]); got != images {
				t.Errorf("%s: wrote %s, want %s", when, got, images)
			}
		}
		one, nine := "[map[count:1 images:[s.com/a:1] source:s.com]]", "[map[count:9 images:[s.com/a:1] source:s.com]]"
		saw(0)
		want("the first report", 1, "<nil>")
		saw(1)
		want("the first image", 2, one)
		for images := range 8 {
			time.Sleep(time.Second)
			saw(images + 2)
		}
		want("more of them", 2, one)
		time.Sleep(51 * time.Second)
		want("just before a minute is over", 2, one)
		time.Sleep(time.Second)
		want("after a minute, though nothing more happens", 3, nine)
		for range 100 {
			time.Sleep(time.Minute)
			saw(9)
		}
		want("while nothing changes", 3, nine)
		saw(0)
		want("once nothing is watched", 4, "<nil>")
	})
}
