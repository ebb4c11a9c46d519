// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/standing"
)

// How often the manager looks whether all agents have a Pod: while some have none, and otherwise, as nodes come and go.
const (
	refusedAgain  = 2 * time.Second
	completeAgain = time.Minute
)

// reasonAgentsRefused is that of the event.
const reasonAgentsRefused = "AgentsRefused"

// Ready fails while the cluster refuses the agents' Pods: a manager whose agents cannot run is not what was installed, and its
// Deployment, and whatever installed that, are to say so. A Pod that only waits for its node is no refusal. A manager that does not
// lead has no agents to speak of, and is ready.
func (o *Operand) Ready(*http.Request) error {
	if refusal := o.refused.Load(); refusal != nil {
		return errors.New(refusal.String())
	}
	return nil
}

// checkPods looks whether all agents that should run have a Pod, and tells what to do where the cluster refuses them.
func (o *Operand) checkPods(ctx context.Context, manager *appsv1.Deployment) (ctrl.Result, error) {
	var d appsv1.DaemonSet
	if err := o.Live.Get(ctx, types.NamespacedName{Namespace: o.Namespace, Name: AgentName}, &d); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	status := d.Status
	if status.ObservedGeneration == d.Generation && min(status.CurrentNumberScheduled, status.UpdatedNumberScheduled) >= status.DesiredNumberScheduled {
		o.complete = time.Now()
		if o.refused.Swap(nil) != nil {
			ctrl.LoggerFrom(ctx).Info("The agents' Pods are no longer refused")
		}
		return ctrl.Result{RequeueAfter: completeAgain}, nil
	}
	var failed corev1.EventList
	err := o.Live.List(ctx, &failed, client.InNamespace(o.Namespace), client.MatchingFields{
		"involvedObject.kind": "DaemonSet", "involvedObject.name": AgentName, "reason": "FailedCreate",
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	for i := range failed.Items {
		if e := &failed.Items[i]; e.InvolvedObject.UID == d.UID && e.LastTimestamp.After(o.complete) {
			o.tellRefusal(ctx, manager, standing.RefusalOf(e.Message, o.Namespace))
		}
	}
	return ctrl.Result{RequeueAfter: refusedAgain}, nil
}

// tellRefusal says once why the agents' Pods are not let in, and what helps against it.
func (o *Operand) tellRefusal(ctx context.Context, manager *appsv1.Deployment, refusal standing.Refusal) {
	if last := o.refused.Swap(&refusal); last != nil && *last == refusal {
		return
	}
	what := "The agents' Pods are refused"
	if refusal.Remedy != "" {
		what = "Pod security refuses the agents, which write files of the host; allow them with: " + refusal.Remedy
	}
	ctrl.LoggerFrom(ctx).Error(errors.New(refusal.Why), what)
	if o.Recorder != nil {
		o.Recorder.Eventf(manager, nil, corev1.EventTypeWarning, reasonAgentsRefused, actionApply, "%s", note(refusal.String()))
	}
}
