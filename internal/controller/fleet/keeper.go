// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fleet is the nodes as the manager sees them: which of them count, and what their agents report. The [Keeper] keeps one
// MirrorNode for each.
package fleet

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	mirrorsetv1alpha1ac "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1/applyconfiguration/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// Board shows what is published.
type Board interface {
	// Published names it; nil while it is not known.
	Published() *standing.Published
	// Watch returns a source of what the handler makes of each change.
	Watch(handle handler.EventHandler) source.Source
}

// Keeper keeps one MirrorNode for each node that counts, and marks those whose agents say nothing.
type Keeper struct {
	// Client reads nodes and MirrorNodes from a cache, and writes MirrorNodes.
	Client   client.Client
	Board    Board
	Settings operand.AgentSettings
	// Namespace is that of the agents' Pods.
	Namespace string
	// Told are told of every change of a MirrorNode.
	Told []handler.EventHandler

	agents *agents // nil for nothing known of their Pods
	memory memory
}

// +kubebuilder:rbac:groups="",resources=nodes,verbs=list;watch
// +kubebuilder:rbac:groups=mirrorset.io,resources=mirrornodes,verbs=list;watch;create;patch;delete
// +kubebuilder:rbac:groups=mirrorset.io,resources=mirrornodes/status,verbs=patch

// SetupWithManager makes every change of a node, a MirrorNode, an agent's Pod or what is published lead to the same single request.
func (k *Keeper) SetupWithManager(mgr ctrl.Manager) error {
	one := OnEvery(reconcile.Request{NamespacedName: types.NamespacedName{Name: "fleet"}})
	c, err := ctrl.NewControllerManagedBy(mgr).Named("fleet").
		Watches(&corev1.Node{}, one, NodeChanged).
		WatchesRawSource(k.Board.Watch(one)).
		Build(k)
	if err != nil {
		return err
	}
	k.agents, err = watchAgents(mgr, c, one, k.Namespace)
	watched := errors.Join(err, WatchMirrorNodes(mgr, c, one))
	for _, told := range k.Told {
		watched = errors.Join(watched, WatchMirrorNodes(mgr, c, told))
	}
	return watched
}

// Reconcile looks at all nodes and makes one plan. A node that cannot be written for does not stop the others.
func (k *Keeper) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	nodes, reports, err := List(ctx, k.Client)
	if meta.IsNoMatchError(err) {
		return ctrl.Result{}, nil // whose being served is waited for
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	pods, err := k.agents.pods(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	if k.memory.behind == nil {
		k.memory = newMemory()
	}
	p := choresOf(seen{settings: k.Settings, nodes: nodes, reports: reports, published: k.Board.Published(), pods: pods, namespace: k.Namespace, at: time.Now()}, k.memory)
	if pods == nil {
		p.lookAgain(silent)
	}
	var failed []error
	for i := range p.remove {
		failed = append(failed, client.IgnoreNotFound(k.Client.Delete(ctx, &p.remove[i])))
	}
	for i := range p.create {
		failed = append(failed, client.IgnoreAlreadyExists(k.Client.Create(ctx, &p.create[i])))
	}
	for name, runtime := range p.annotate {
		apply := mirrorsetv1alpha1ac.MirrorNode(name).WithAnnotations(map[string]string{mirrorsetv1alpha1.RuntimeAnnotation: runtime})
		failed = append(failed, k.Client.Apply(ctx, apply, client.FieldOwner(payload.FieldManager), client.ForceOwnership))
	}
	for name, m := range p.mark {
		failed = append(failed, k.mark(ctx, name, m))
	}
	return ctrl.Result{RequeueAfter: p.again}, errors.Join(failed...)
}

// mark writes one condition in the place of an agent that says nothing, and not over what that one has said meanwhile.
func (k *Keeper) mark(ctx context.Context, name string, m mark) error {
	apply := mirrorsetv1alpha1ac.MirrorNode(name).WithResourceVersion(m.over).WithStatus(mirrorsetv1alpha1ac.MirrorNodeStatus().WithConditions(
		metav1ac.Condition().WithType(m.Type).WithStatus(m.Status).WithReason(m.Reason).WithMessage(m.Message).WithLastTransitionTime(m.LastTransitionTime)))
	err := k.Client.Status().Apply(ctx, apply, client.FieldOwner(payload.FieldManager), client.ForceOwnership)
	if err == nil && m.Reason == mirrorsetv1alpha1.ReasonAgentNotReady {
		k.memory.asked(name)
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it went or changed meanwhile, which leads to the next pass
	}
	return err
}
