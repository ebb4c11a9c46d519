// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/nodestatus"
	"github.com/mirrorset/mirrorset/internal/rewatch"
)

// fieldManager owns what agents write.
const fieldManager = "mirrorset-agent"

// reporter keeps the status of the node's MirrorNode in step with what passes come to. It writes only where the two differ, so
// an API server that is away, or an object that is not there yet, costs nothing but the report.
type reporter struct {
	nodes    dynamic.ResourceInterface
	name     string
	log      logr.Logger
	queue    workqueue.TypedRateLimitingInterface[struct{}]
	informer cache.SharedIndexInformer
	latest   atomic.Pointer[nodestatus.Outcome]
	failed   string // the last error, so that each is logged once
	pace     nodestatus.Pace

	// The status that was written last, and the resource version of the object that it replaced. Until the watch delivers a newer object, the object
	// has this status.
	written *mirrorsetv1alpha1.MirrorNodeStatus
	over    string
}

// newReporter calls changed when it becomes known that the node has another runtime.
func newReporter(config Config, changed func()) (*reporter, error) {
	resource := mirrorsetv1alpha1.GroupVersion.WithResource("mirrornodes")
	nodes := config.Clients.nodes.Resource(resource)
	r := &reporter{
		nodes:    nodes,
		name:     config.NodeName,
		log:      config.Log,
		queue:    workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[struct{}](retryFirst, retryLast)),
		informer: rewatch.InformerOfOne(config.NodeName, nodes.List, nodes.Watch, &unstructured.Unstructured{}),
	}
	known := ""
	seen := func(any) {
		r.queue.Add(struct{}{})
		if now := r.runtimeVersion(); now != known {
			known = now
			changed()
		}
	}
	_, err := r.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: seen, UpdateFunc: func(_, now any) { seen(now) }})
	return r, err
}

// report has an outcome written, unless a later one overtakes it.
func (r *reporter) report(o nodestatus.Outcome) {
	r.latest.Store(&o)
	r.queue.Add(struct{}{})
}

func (r *reporter) run(ctx context.Context) {
	go r.informer.RunWithContext(ctx)
	go func() {
		<-ctx.Done()
		r.queue.ShutDown()
	}()
	for {
		item, shutdown := r.queue.Get()
		if shutdown {
			return
		}
		err := r.write(ctx)
		switch {
		case err == nil:
			r.failed = ""
			r.queue.Forget(item)
		case ctx.Err() == nil:
			if err.Error() != r.failed {
				r.failed = err.Error()
				r.log.Error(err, "Cannot report what is in force on this node")
			}
			r.queue.AddRateLimited(item)
		}
		r.queue.Done(item)
	}
}

// node returns the MirrorNode as last seen; nil where there is none.
func (r *reporter) node() *mirrorsetv1alpha1.MirrorNode {
	for _, object := range r.informer.GetStore().List() {
		if seen, ok := object.(*unstructured.Unstructured); ok {
			node := &mirrorsetv1alpha1.MirrorNode{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(seen.Object, node); err != nil {
				return nil // of a version that this agent does not know
			}
			return node
		}
	}
	return nil
}

// runtimeVersion is what the Node says of its container runtime; empty while that is not known.
func (r *reporter) runtimeVersion() string {
	if node := r.node(); node != nil {
		return node.Annotations[mirrorsetv1alpha1.RuntimeAnnotation]
	}
	return ""
}

// write applies the status if it is not what the object says. The manager may have written the same condition while this
// agent was silent, so it is taken back by force.
func (r *reporter) write(ctx context.Context) error {
	o, node := r.latest.Load(), r.node()
	if o == nil || node == nil {
		return nil // both are told of
	}
	before := node.Status
	switch {
	case r.written == nil:
	case r.over == node.ResourceVersion:
		before = *r.written
	default:
		r.written = nil // for good: a restored etcd may bring that version back
	}
	now := time.Now()
	status := o.Status(now, before, node.Annotations[mirrorsetv1alpha1.RuntimeAnnotation])
	if left := r.pace.Hold(before, &status, now); left > 0 {
		r.queue.AddAfter(struct{}{}, left)
	}
	if equality.Semantic.DeepEqual(status, before) {
		return nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&status)
	if err != nil {
		return err
	}
	apply := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": mirrorsetv1alpha1.GroupVersion.String(), "kind": "MirrorNode",
		"metadata": map[string]any{"name": r.name}, "status": content,
	}}
	_, err = r.nodes.ApplyStatus(ctx, r.name, apply, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if apierrors.IsNotFound(err) {
		return nil // it was just deleted, and comes back as a new one
	}
	if err != nil {
		return fmt.Errorf("writing the status of MirrorNode %s: %w", r.name, err)
	}
	r.pace.Wrote(before, status, now)
	r.written, r.over = &status, node.ResourceVersion
	return nil
}
