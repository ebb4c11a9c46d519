// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/rewatch"
)

// agents watches the agents' Pods and their DaemonSet, in a cache that nothing waits for: a manager that may not list Pods does all
// else.
type agents struct {
	cache     cache.Cache
	informers []cache.Informer
}

// +kubebuilder:rbac:groups="",namespace=mirrorset-system,resources=pods,verbs=list;watch

// watchAgents has what counts of their Pods handled.
func watchAgents(mgr ctrl.Manager, c controller.Controller, handle handler.EventHandler, namespace string) (*agents, error) {
	here := map[string]cache.Config{namespace: {}}
	own, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), NewInformer: rewatch.NewInformer,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:       {Namespaces: here, Label: labels.SelectorFromSet(operand.AgentLabels), Transform: slimPod},
			&appsv1.DaemonSet{}: {Namespaces: here, Field: fields.OneTermEqualSelector("metadata.name", operand.AgentName)},
		},
	})
	if err != nil {
		return nil, err
	}
	a := &agents{cache: own}
	for _, object := range []client.Object{&corev1.Pod{}, &appsv1.DaemonSet{}} {
		informer, err := own.GetInformer(context.Background(), object, cache.BlockUntilSynced(false))
		if err == nil {
			err = c.Watch(&source.Informer{Informer: informer, Handler: handle, Predicates: []predicate.Predicate{agentChanged}})
		}
		if err != nil {
			return nil, err
		}
		a.informers = append(a.informers, informer)
	}
	return a, mgr.Add(own)
}

// pods returns one Pod of an agent for each node that has one: a Ready one, if there is any. It is nil while nothing can be concluded
// from a node's having none: the API server has yet to show the Pods, or nobody has made the DaemonSet into any.
func (a *agents) pods(ctx context.Context) (map[string]*corev1.Pod, error) {
	if a == nil {
		return nil, nil
	}
	for _, informer := range a.informers {
		if !informer.HasSynced() {
			return nil, nil
		}
	}
	var sets appsv1.DaemonSetList
	var pods corev1.PodList
	if err := errors.Join(a.cache.List(ctx, &sets), a.cache.List(ctx, &pods)); err != nil {
		return nil, fmt.Errorf("listing the agents' Pods: %w", err)
	}
	if len(sets.Items) == 0 || !isObserved(&sets.Items[0]) {
		return nil, nil
	}
	return podsByNode(pods.Items), nil
}

// isObserved reports whether the DaemonSet controller has looked at a DaemonSet.
func isObserved(d *appsv1.DaemonSet) bool { return d.Status.ObservedGeneration != 0 }

func podsByNode(pods []corev1.Pod) map[string]*corev1.Pod {
	byNode := make(map[string]*corev1.Pod, len(pods))
	for i := range pods {
		pod := &pods[i]
		owner := metav1.GetControllerOf(pod)
		if owner == nil || owner.Kind != "DaemonSet" || owner.Name != operand.AgentName {
			continue // somebody else's, with the same labels
		}
		if other := byNode[pod.Spec.NodeName]; other == nil || !isReady(other) && (isReady(pod) || pod.Name < other.Name) {
			byNode[pod.Spec.NodeName] = pod
		}
	}
	return byNode
}

// readiness returns the condition of a Pod; the zero value where it has none.
func readiness(pod *corev1.Pod) corev1.PodCondition {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c
		}
	}
	return corev1.PodCondition{}
}

func isReady(pod *corev1.Pod) bool { return readiness(pod).Status == corev1.ConditionTrue }

// agentChanged ignores changes that do not matter in a Pod or the DaemonSet, such as the progress of a rollout.
var agentChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	switch before := e.ObjectOld.(type) {
	case *corev1.Pod:
		after, ok := e.ObjectNew.(*corev1.Pod)
		return !ok || before.UID != after.UID || before.Spec.NodeName != after.Spec.NodeName || isReady(before) != isReady(after)
	case *appsv1.DaemonSet:
		after, ok := e.ObjectNew.(*appsv1.DaemonSet)
		return !ok || isObserved(before) != isObserved(after)
	}
	return true
}}

// slimPod removes unused parts of a Pod before it is cached.
func slimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	slim := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion, OwnerReferences: pod.OwnerReferences},
		Spec:       corev1.PodSpec{NodeName: pod.Spec.NodeName},
	}
	if c := readiness(pod); c.Type != "" {
		slim.Status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime}}
	}
	return slim, nil
}
