// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/standing"
)

// How often a manager looks whether all agents have a Pod: while some have none, and otherwise, as nodes come and go.
const (
	incompleteAgain = 2 * time.Second
	completeAgain   = 10 * time.Second
)

// unknownAtMost is how long a manager that was just started waits for the cluster to make the agents' Pods or to refuse them, before it is
// ready without knowing.
const unknownAtMost = time.Minute

// Admission checks if the cluster lets the agents' Pods in. Each manager checks for itself, even if it is not the leader.
type Admission struct {
	// Live reads from the API server and not from a cache.
	Live client.Reader
	// Namespace is the manager's.
	Namespace string
	// Tell sends an event about the manager's Deployment: the cluster refuses the agents.
	Tell func(manager *corev1.ObjectReference, refusal *standing.Refusal)
	// Elected is closed once this manager leads, because only the leader sends events.
	Elected <-chan struct{}

	started  time.Time
	known    atomic.Bool
	refused  atomic.Pointer[standing.Refusal]
	complete time.Time        // when all agents had a Pod; refusals from before are over
	told     standing.Refusal // the last one that was told
}

// Start looks until the manager ends.
func (a *Admission) Start(ctx context.Context) error {
	log := ctrl.LoggerFrom(ctx).WithName("admission")
	ctx = ctrl.LoggerInto(ctx, log)
	a.started = time.Now()
	for ctx.Err() == nil {
		again, err := a.look(ctx)
		if err != nil {
			log.V(1).Info("Cannot find out now if the cluster accepts the agents' Pods", "error", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
	return nil
}

// NeedLeaderElection returns false, because Admission runs in each manager.
func (a *Admission) NeedLeaderElection() bool { return false }

// Refused returns why the cluster refuses the agents' Pods, or nil.
func (a *Admission) Refused() *standing.Refusal { return a.refused.Load() }

// Ready fails while the API server refuses the agents' Pods. A manager whose agents cannot run is not a complete installation, and its
// Deployment, and whatever installed that, should show it. A Pod that only waits for its node does not count as refused. If the API server
// does not answer, the result stays.
func (a *Admission) Ready(*http.Request) error {
	if refusal := a.refused.Load(); refusal != nil {
		return errors.New(refusal.String())
	}
	if !a.known.Load() {
		return errors.New("the manager does not know yet if the cluster accepts the agents' Pods")
	}
	return nil
}

// look looks once, and returns when to do so again.
func (a *Admission) look(ctx context.Context) (time.Duration, error) {
	if time.Since(a.started) > unknownAtMost {
		a.known.Store(true)
	}
	var d appsv1.DaemonSet
	if err := a.Live.Get(ctx, types.NamespacedName{Namespace: a.Namespace, Name: AgentName}, &d); err != nil {
		return incompleteAgain, err
	}
	if standing.Complete(&d) {
		a.complete = time.Now()
		a.settle(ctx, &d, nil)
		a.known.Store(true)
		return completeAgain, nil
	}
	selector, err := fields.ParseSelector(standing.EventsOf(AgentName))
	if err != nil {
		return incompleteAgain, err
	}
	var all corev1.EventList
	if err := a.Live.List(ctx, &all, client.InNamespace(a.Namespace), client.MatchingFieldsSelector{Selector: selector}); err != nil {
		return incompleteAgain, err
	}
	a.settle(ctx, &d, standing.Refused(&d, all.Items, metav1.Time{Time: latest(a.complete, time.Now().Add(-standing.RefusalMinutes*time.Minute))}))
	return incompleteAgain, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// settle keeps why the agents' Pods are not let in, and says once what helps against it.
func (a *Admission) settle(ctx context.Context, d *appsv1.DaemonSet, refusal *standing.Refusal) {
	last := a.refused.Swap(refusal)
	switch {
	case refusal == nil:
		if last != nil {
			ctrl.LoggerFrom(ctx).Info("The API server no longer refuses the agents' Pods")
		}
		a.told = standing.Refusal{}
		return
	case last == nil || *last != *refusal:
		what := "The API server refuses the agents' Pods"
		if refusal.Remedy != "" {
			what = "Pod Security Admission refuses the agents, because they write files on the host; allow the agents with: " + refusal.Remedy
		}
		ctrl.LoggerFrom(ctx).Error(errors.New(refusal.Why), what)
	}
	select {
	case <-a.Elected:
		if owner := metav1.GetControllerOf(d); owner != nil && a.told != *refusal {
			a.told = *refusal
			a.Tell(&corev1.ObjectReference{APIVersion: owner.APIVersion, Kind: owner.Kind, Namespace: d.Namespace, Name: owner.Name, UID: owner.UID}, refusal)
		}
	default:
	}
}
