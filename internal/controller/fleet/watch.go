// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

const (
	// soon is how long events are waited for that would lead to the same pass.
	soon = 200 * time.Millisecond
	// servedAgain is how often MirrorNodes are looked for while they are not served.
	servedAgain = time.Second
)

// OnEvery makes every event, about any object, lead to one request. Events within a short time become one request.
func OnEvery(one reconcile.Request) handler.EventHandler {
	return OnEveryAfter(one, func() time.Duration { return soon })
}

// OnEveryAfter makes every event, about any object, lead to one request after a while. Later events in that time become part of it.
func OnEveryAfter(one reconcile.Request, while func() time.Duration) handler.EventHandler {
	add := func(queue workqueue.TypedRateLimitingInterface[ctrl.Request]) { queue.AddAfter(one, while()) }
	return handler.TypedFuncs[client.Object, reconcile.Request]{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			add(q)
		},
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			add(q)
		},
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			add(q)
		},
		GenericFunc: func(_ context.Context, _ event.GenericEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			add(q)
		},
	}
}

// WatchMirrorNodes has MirrorNodes watched from when they are served, so that a manager can work while their CRD is away.
func WatchMirrorNodes(mgr ctrl.Manager, c controller.Controller, handle handler.EventHandler, predicates ...predicate.Predicate) error {
	kind := mirrorsetv1alpha1.GroupVersion.WithKind("MirrorNode")
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		waits := false
		err := wait.PollUntilContextCancel(ctx, servedAgain, true, func(context.Context) (bool, error) {
			_, err := mgr.GetRESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
			if err != nil && !waits {
				waits = true
				mgr.GetLogger().Info("Cannot watch MirrorNodes yet", "cause", err.Error())
			}
			return err == nil, nil
		})
		if err != nil {
			return nil // the manager ends
		}
		return c.Watch(source.Kind[client.Object](mgr.GetCache(), &mirrorsetv1alpha1.MirrorNode{}, handle, predicates...))
	}))
}

// NodeChanged passes over the heartbeats of nodes.
var NodeChanged = builder.WithPredicates(NodePredicate)

// NodePredicate is what [NodeChanged] has.
var NodePredicate = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, isNode := e.ObjectOld.(*corev1.Node)
	after, stillIs := e.ObjectNew.(*corev1.Node)
	return !isNode || !stillIs || before.DeletionTimestamp != after.DeletionTimestamp ||
		!maps.Equal(before.Labels, after.Labels) || !equality.Semantic.DeepEqual(before.Spec.Taints, after.Spec.Taints) ||
		before.Status.NodeInfo.ContainerRuntimeVersion != after.Status.NodeInfo.ContainerRuntimeVersion
}}

// Slim removes unused parts of a node before it is cached.
func Slim(object any) (any, error) {
	if node, ok := object.(*corev1.Node); ok {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{
				Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion, Labels: node.Labels, DeletionTimestamp: node.DeletionTimestamp,
			},
			Spec:   corev1.NodeSpec{Taints: node.Spec.Taints},
			Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{ContainerRuntimeVersion: node.Status.NodeInfo.ContainerRuntimeVersion}},
		}, nil
	}
	return object, nil
}
