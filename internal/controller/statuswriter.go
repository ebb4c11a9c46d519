// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/controller/setstatus"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// StatusWriter writes the status of each set: if it is used, if nodes have it in force, and what is odd about it. It writes a set only when
// its status changes, so a change to one set causes one write.
type StatusWriter struct {
	// Client reads nodes and MirrorNodes from a cache, and writes the status of sets.
	Client   client.Client
	Board    *Board
	Settings operand.AgentSettings
	Events   *Events

	written map[types.UID]written // what this process wrote last
	pruned  map[*kinds.Kind]bool  // it was said that the CRD has no room for a status
}

// written is a status, when its write had ended, and when the next may follow.
type written struct {
	status configv1.MirrorSetStatus
	at     time.Time
	pace   setstatus.Pace
}

// +kubebuilder:rbac:groups=config.openshift.io,resources=imagedigestmirrorsets/status;imagetagmirrorsets/status,verbs=patch

// SetupWithManager makes every change of a node, a MirrorNode or what is published lead to the same single request.
func (w *StatusWriter) SetupWithManager(mgr ctrl.Manager) error {
	one := fleet.OnEvery(reconcile.Request{NamespacedName: types.NamespacedName{Name: "sets"}})
	c, err := ctrl.NewControllerManagedBy(mgr).Named("status").
		Watches(&corev1.Node{}, one, fleet.NodeChanged).
		WatchesRawSource(w.Board.Watch(one)).
		Build(w)
	if err != nil {
		return err
	}
	return fleet.WatchMirrorNodes(mgr, c, one)
}

// Reconcile brings all sets of the last snapshot up to date. A set that cannot be written does not stop the others.
func (w *StatusWriter) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	published := w.Board.Get()
	if published == nil {
		return ctrl.Result{}, nil
	}
	w.sayPruned(ctx, published)
	nodes, reports, err := fleet.List(ctx, w.Client)
	if err != nil && !meta.IsNoMatchError(err) {
		return ctrl.Result{}, err
	}
	members := setstatus.NewFleet(fleet.Members(nodes, reports, w.Settings))
	members.Unseen = err != nil
	now, j := time.Now(), setstatus.Judge(published.Result, &members)
	var result ctrl.Result
	var failed []error
	kept := make(map[types.UID]written, len(published.Sets))
	for i := range published.Sets {
		set := &published.Sets[i]
		before := w.before(set, published)
		after := setstatus.Of(set, before.status, j, members, published.forSets(), metav1.Time{Time: now.Truncate(time.Second)})
		left, due := before.pace.Hold(before.status, after, now)
		kept[set.GetUID()] = before
		if !due {
			continue
		}
		if left > 0 {
			if result.RequeueAfter == 0 || left < result.RequeueAfter {
				result.RequeueAfter = left
			}
			continue
		}
		if published.HasStatus[set.Kind] {
			if err := w.write(ctx, set, after); err != nil {
				failed = append(failed, err)
				continue
			}
		}
		w.Events.ofSet(set, before.status, after)
		ended := time.Now()
		before.pace.Wrote(ended)
		kept[set.GetUID()] = written{status: after, at: ended, pace: before.pace}
	}
	w.written = kept
	return result, errors.Join(failed...)
}

// sayPruned says, once, that a CRD has no room for a status.
func (w *StatusWriter) sayPruned(ctx context.Context, published *Snapshot) {
	pruned := make(map[*kinds.Kind]bool)
	for _, kind := range kinds.All {
		if pruned[kind] = !published.HasStatus[kind]; pruned[kind] && !w.pruned[kind] {
			ctrl.LoggerFrom(ctx).Info("The CRD was not installed by Mirrorset and has no status, so sets do not show one; look at events and MirrorNodes instead", "crd", kind.CRDName())
		}
	}
	w.pruned = pruned
}

// before returns the status that a set has: what was written last, unless the set was listed since, when somebody else may
// have written it.
func (w *StatusWriter) before(set *kinds.Set, published *Snapshot) written {
	last, ok := w.written[set.GetUID()]
	if ok && (!published.HasStatus[set.Kind] || !published.Listed.After(last.at)) {
		return last
	}
	return written{status: *set.Status, at: last.at, pace: last.pace}
}

// counted are the annotations of a set that rules depend on. A change of them makes no new generation.
var counted = []string{mirrors.InsecureAnnotation, mirrors.EnforcementAnnotation}

// setChanged reports whether the spec or an annotation that counts changed, whether there is another set under the same name, or whether
// somebody overwrote the status. After an interrupted watch, a set that was deleted and created again appears as an update from generation
// 1 to generation 1.
func setChanged(e event.UpdateEvent) bool {
	annotated := func(key string) bool { return e.ObjectOld.GetAnnotations()[key] != e.ObjectNew.GetAnnotations()[key] }
	return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
		slices.ContainsFunc(counted, annotated) || statusTaken(e)
}

// statusTaken reports whether somebody else wrote values of their own into the status of a set, or removed all of it. The set is then
// checked again.
func statusTaken(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.GetManagedFields(), e.ObjectNew.GetManagedFields()
	if slices.ContainsFunc(before, isOurStatus) && !slices.ContainsFunc(after, isOurStatus) {
		return true
	}
	return slices.ContainsFunc(after, func(f metav1.ManagedFieldsEntry) bool {
		isKnown := func(b metav1.ManagedFieldsEntry) bool { return equality.Semantic.DeepEqual(b, f) }
		return isOfStatus(f) && !isOurStatus(f) && !slices.ContainsFunc(before, isKnown)
	})
}

// write applies the status to that very set, and not to another one that has its name by now.
func (w *StatusWriter) write(ctx context.Context, set *kinds.Set, status configv1.MirrorSetStatus) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&status)
	if err != nil {
		return err
	}
	apply := &unstructured.Unstructured{Object: map[string]any{"status": content}}
	apply.SetGroupVersionKind(set.Kind.GroupVersionKind())
	apply.SetName(set.GetName())
	apply.SetUID(set.GetUID())
	err = w.Client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(apply), client.FieldOwner(payload.FieldManager), client.ForceOwnership)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it went meanwhile, and the next list shows what came in its place
	}
	if err != nil {
		return fmt.Errorf("writing the status of %s %s: %w", set.Kind.Name, set.GetName(), err)
	}
	return nil
}
