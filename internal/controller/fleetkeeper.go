// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
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
	mirrorsetv1alpha1ac "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1/applyconfiguration/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
)

const (
	// soon is how long events are waited for that would lead to the same pass.
	soon = 200 * time.Millisecond
	// silent is how long an agent may take to follow what is published before its node shows it as silent.
	silent = time.Minute
)

// FleetKeeper keeps one MirrorNode for each node that counts, and marks those whose agents say nothing.
type FleetKeeper struct {
	// Client reads nodes and MirrorNodes from a cache, and writes MirrorNodes.
	Client   client.Client
	Board    *Board
	Settings AgentSettings
	Events   *Events
	// Metrics, if they are not nil, are told what nodes report.
	Metrics *Metrics

	behind map[string]lag // by node
}

// lag is since when a node has been behind with one revision.
type lag struct {
	revision int64
	since    time.Time
}

// +kubebuilder:rbac:groups="",resources=nodes,verbs=list;watch
// +kubebuilder:rbac:groups=mirrorset.io,resources=mirrornodes,verbs=list;watch;create;patch;delete
// +kubebuilder:rbac:groups=mirrorset.io,resources=mirrornodes/status,verbs=patch

// SetupWithManager has every change of a node, a MirrorNode or what is published lead to the one request there is.
func (k *FleetKeeper) SetupWithManager(mgr ctrl.Manager) error {
	one := reconcile.Request{NamespacedName: types.NamespacedName{Name: "fleet"}}
	c, err := ctrl.NewControllerManagedBy(mgr).Named("fleet").
		Watches(&corev1.Node{}, onEvery(one, soon), nodeChanged).
		WatchesRawSource(k.Board.watch(one, soon)).
		Build(k)
	if err != nil {
		return err
	}
	return errors.Join(watchNodes(mgr, c, onEvery(one, soon)), watchNodes(mgr, c, k.Events.ofNodes()), watchNodes(mgr, c, k.Metrics.ofNodes()))
}

// watchNodes has MirrorNodes watched from when they are served, so that a manager can work while their CRD is away.
func watchNodes(mgr ctrl.Manager, c controller.Controller, handle handler.EventHandler, predicates ...predicate.Predicate) error {
	kind := mirrorsetv1alpha1.GroupVersion.WithKind("MirrorNode")
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		waits := false
		err := wait.PollUntilContextCancel(ctx, crdBack, true, func(context.Context) (bool, error) {
			_, err := mgr.GetRESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
			if err != nil && !waits {
				waits = true
				mgr.GetLogger().Info("MirrorNodes cannot be watched yet", "cause", err.Error())
			}
			return err == nil, nil
		})
		if err != nil {
			return nil // the manager ends
		}
		return c.Watch(source.Kind[client.Object](mgr.GetCache(), &mirrorsetv1alpha1.MirrorNode{}, handle, predicates...))
	}))
}

// nodeChanged passes over the heartbeats of nodes.
var nodeChanged = builder.WithPredicates(predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, isNode := e.ObjectOld.(*corev1.Node)
	after, stillIs := e.ObjectNew.(*corev1.Node)
	return !isNode || !stillIs || before.DeletionTimestamp != after.DeletionTimestamp ||
		!maps.Equal(before.Labels, after.Labels) || !equality.Semantic.DeepEqual(before.Spec.Taints, after.Spec.Taints) ||
		before.Status.NodeInfo.ContainerRuntimeVersion != after.Status.NodeInfo.ContainerRuntimeVersion
}})

// Slim drops what is not looked at of a node before it is cached.
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

// Reconcile looks at all nodes and makes one plan. A node that cannot be written for does not stop the others.
func (k *FleetKeeper) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	nodes, reports, err := listFleet(ctx, k.Client)
	if meta.IsNoMatchError(err) {
		return ctrl.Result{}, nil // whose being served is waited for
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if k.behind == nil {
		k.behind = make(map[string]lag)
	}
	p := k.Settings.chores(nodes, reports, k.Board.Get(), k.behind, time.Now())
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

// listFleet returns all nodes, and what their agents reported. Nodes are there even where MirrorNodes cannot be had.
func listFleet(ctx context.Context, c client.Reader) ([]corev1.Node, []mirrorsetv1alpha1.MirrorNode, error) {
	var nodes corev1.NodeList
	var reports mirrorsetv1alpha1.MirrorNodeList
	err := errors.Join(c.List(ctx, &nodes), c.List(ctx, &reports))
	if err != nil {
		err = fmt.Errorf("listing nodes: %w", err)
	}
	return nodes.Items, reports.Items, err
}

// mark writes one condition in the place of an agent that says nothing, and not over what that one has said meanwhile.
func (k *FleetKeeper) mark(ctx context.Context, name string, m mark) error {
	apply := mirrorsetv1alpha1ac.MirrorNode(name).WithResourceVersion(m.over).WithStatus(mirrorsetv1alpha1ac.MirrorNodeStatus().WithConditions(
		metav1ac.Condition().WithType(m.Type).WithStatus(m.Status).WithReason(m.Reason).WithMessage(m.Message).WithLastTransitionTime(m.LastTransitionTime)))
	err := k.Client.Status().Apply(ctx, apply, client.FieldOwner(payload.FieldManager), client.ForceOwnership)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it went or changed meanwhile, which leads to the next pass
	}
	return err
}

// chores are what is to be done about the fleet.
type chores struct {
	create   []mirrorsetv1alpha1.MirrorNode
	remove   []mirrorsetv1alpha1.MirrorNode
	annotate map[string]string // with the runtime, by name
	mark     map[string]mark   // by name
	again    time.Duration
}

// mark is a condition, and the resource version of the object that it is about.
type mark struct {
	metav1.Condition
	over string
}

// chores compares the nodes that count with the objects that there are. It keeps in behind which nodes do not follow.
func (s AgentSettings) chores(nodes []corev1.Node, reports []mirrorsetv1alpha1.MirrorNode, published *Snapshot, behind map[string]lag, now time.Time) chores {
	p := chores{annotate: make(map[string]string), mark: make(map[string]mark)}
	counted := make(map[string]*corev1.Node, len(nodes))
	for i := range nodes {
		if n := &nodes[i]; n.DeletionTimestamp == nil && s.counts(n) {
			counted[n.Name] = n
		}
	}
	for i := range reports {
		r := &reports[i]
		node, ok := counted[r.Name]
		if !ok || !slices.ContainsFunc(r.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == node.UID }) {
			p.remove = append(p.remove, *r) // of a node that has gone, or was replaced by another one of its name
			delete(behind, r.Name)
			continue
		}
		delete(counted, r.Name)
		if runtime := node.Status.NodeInfo.ContainerRuntimeVersion; r.Annotations[mirrorsetv1alpha1.RuntimeAnnotation] != runtime {
			p.annotate[r.Name] = runtime
		}
		p.markSilent(r, published, behind, now)
	}
	for _, node := range counted {
		p.create = append(p.create, mirrorNode(node))
	}
	return p
}

// markSilent has a node show as such that never reported, or does not follow what is published.
func (p *chores) markSilent(node *mirrorsetv1alpha1.MirrorNode, published *Snapshot, behind map[string]lag, now time.Time) {
	m := member{name: node.Name, status: node.Status}
	condition := metav1.Condition{Type: mirrorsetv1alpha1.ConditionApplied, Status: metav1.ConditionUnknown, LastTransitionTime: metav1.Time{Time: now.Truncate(time.Second)}}
	applied := m.applied()
	switch {
	case len(m.status.Conditions) == 0:
		condition.Reason, condition.Message = mirrorsetv1alpha1.ReasonNeverReported, "no agent has reported from this node"
	case published == nil || !m.isBehind(published):
		delete(behind, m.name)
		return
	case applied.Status == metav1.ConditionUnknown:
		return
	default:
		if last, ok := behind[m.name]; !ok || last.revision != m.status.Revision {
			behind[m.name] = lag{revision: m.status.Revision, since: now}
		}
		if left := behind[m.name].since.Add(silent).Sub(now); left > 0 {
			if p.again == 0 || left < p.again {
				p.again = left
			}
			return
		}
		condition.Reason = mirrorsetv1alpha1.ReasonAgentSilent
		condition.Message = fmt.Sprintf("its agent has not followed to revision %d", published.Revision)
	}
	p.mark[m.name] = mark{Condition: condition, over: node.ResourceVersion}
}

// mirrorNode returns the object of a node, which goes with it.
func mirrorNode(node *corev1.Node) mirrorsetv1alpha1.MirrorNode {
	return mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{
		Name: node.Name,
		Labels: map[string]string{
			"app.kubernetes.io/name":       "mirrorset",
			"app.kubernetes.io/component":  "agent",
			"app.kubernetes.io/managed-by": payload.FieldManager,
		},
		Annotations:     map[string]string{mirrorsetv1alpha1.RuntimeAnnotation: node.Status.NodeInfo.ContainerRuntimeVersion},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}},
	}}
}
