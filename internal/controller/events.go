// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/setstatus"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// The actions that events name.
const (
	actionMerge = "Merge"
	actionApply = "Apply"
	actionPull  = "Pull"
)

// maxNote bounds the text of an event, because the API server accepts no more.
const maxNote = 1024

// reasonRecovered is that of the event that a set which nodes had lost is in force on all of them again.
const reasonRecovered = "Recovered"

// reasonAgentsRefused is that of the event about the manager.
const reasonAgentsRefused = "AgentsRefused"

// Events sends one event per change: an event is about the difference between two states.
type Events struct {
	Recorder events.EventRecorder
}

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// ofSet sends events about changes in the status of a set: new findings, a set that comes into force or fails to, a set that is lost or
// recovers, and faults of its mirrors. It also reports what keeps a change of the set from the nodes until somebody acts.
func (e *Events) ofSet(set *kinds.Set, before, after configv1.MirrorSetStatus) {
	known := make(map[string]bool, len(before.Findings))
	for _, f := range before.Findings {
		known[f.Reason+f.Message] = true
	}
	var reasons []string
	messages := make(map[string][]string) // by reason, because the API treats events with one reason as repetitions, even if their texts differ
	for _, f := range after.Findings {
		if known[f.Reason+f.Message] || mirrors.Reason(f.Reason).Class() == mirrors.Informational {
			continue
		}
		if messages[f.Reason] == nil {
			reasons = append(reasons, f.Reason)
		}
		messages[f.Reason] = append(messages[f.Reason], f.Message)
	}
	for _, reason := range reasons {
		e.Recorder.Eventf(set.Object, nil, corev1.EventTypeWarning, reason, actionMerge, "%s", note(strings.Join(messages[reason], "; ")))
	}
	if c, changed := change(before.Conditions, after.Conditions, configv1.ConditionApplied); changed {
		was := meta.FindStatusCondition(before.Conditions, configv1.ConditionApplied)
		switch c.Reason {
		case configv1.ReasonAppliedOnAllNodes:
			reason := c.Reason
			if was != nil && was.Reason == configv1.ReasonDegraded && was.ObservedGeneration == c.ObservedGeneration {
				reason = reasonRecovered
			}
			e.Recorder.Eventf(set.Object, nil, corev1.EventTypeNormal, reason, actionApply, "generation %d is %s", set.GetGeneration(), c.Message)
		case configv1.ReasonPaused, configv1.ReasonRolledBack: // which somebody wanted
			e.Recorder.Eventf(set.Object, nil, corev1.EventTypeNormal, c.Reason, actionApply, "%s", note(c.Message))
		case configv1.ReasonNodesFailing, configv1.ReasonDegraded, configv1.ReasonCanaryFailed, configv1.ReasonNoCanaries:
			e.Recorder.Eventf(set.Object, nil, corev1.EventTypeWarning, c.Reason, actionApply, "%s", note(c.Message))
		}
	}
	if c := setstatus.NewsOfMirrors(before, after); c != nil {
		kind := map[bool]string{true: corev1.EventTypeWarning, false: corev1.EventTypeNormal}[c.Status == metav1.ConditionFalse]
		e.Recorder.Eventf(set.Object, nil, kind, c.Reason, actionPull, "%s", note(c.Message))
	}
}

// OfNodes returns a handler that sends events about nodes that begin to fail, or whose images can no longer be pulled, and when that is
// over. It queues nothing.
func (e *Events) OfNodes() handler.EventHandler {
	return handler.TypedFuncs[client.Object, reconcile.Request]{
		UpdateFunc: func(_ context.Context, update event.UpdateEvent, _ workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			before, isNode := update.ObjectOld.(*mirrorsetv1alpha1.MirrorNode)
			after, stillIs := update.ObjectNew.(*mirrorsetv1alpha1.MirrorNode)
			if isNode && stillIs {
				e.ofNode(before, after)
			}
		},
	}
}

func (e *Events) ofNode(before, after *mirrorsetv1alpha1.MirrorNode) {
	for _, kind := range []string{mirrorsetv1alpha1.ConditionApplied, mirrorsetv1alpha1.ConditionRuntimeReady, mirrorsetv1alpha1.ConditionImagesPullable} {
		was := meta.FindStatusCondition(before.Status.Conditions, kind)
		switch c, changed := change(before.Status.Conditions, after.Status.Conditions, kind); {
		case !changed:
		case c.Status == metav1.ConditionFalse || c.Reason == mirrorsetv1alpha1.ReasonAgentSilent || c.Reason == mirrorsetv1alpha1.ReasonAgentNotReady:
			e.Recorder.Eventf(after, nil, corev1.EventTypeWarning, c.Reason, actionApply, "%s", note(c.Message))
		case c.Status == metav1.ConditionTrue && was != nil && was.Reason != mirrorsetv1alpha1.ReasonNeverReported:
			e.Recorder.Eventf(after, nil, corev1.EventTypeNormal, c.Reason, actionApply, "%s", note(c.Message))
		}
	}
}

// OfRefusal sends an event about the manager: the cluster refuses the agents.
func (e *Events) OfRefusal(manager *corev1.ObjectReference, refusal *standing.Refusal) {
	e.Recorder.Eventf(manager, nil, corev1.EventTypeWarning, reasonAgentsRefused, actionApply, "%s", note(refusal.String()))
}

// change returns a condition, and whether its status or reason, or the generation that it is about, is another one.
func change(before, after []metav1.Condition, kind string) (c metav1.Condition, changed bool) {
	was, is := meta.FindStatusCondition(before, kind), meta.FindStatusCondition(after, kind)
	if is == nil {
		return c, false
	}
	return *is, was == nil || was.Status != is.Status || was.Reason != is.Reason || was.ObservedGeneration != is.ObservedGeneration
}

// note cuts a message to what an event may carry.
func note(message string) string {
	if len(message) > maxNote {
		return strings.ToValidUTF8(message[:maxNote-len("...")], "") + "..."
	}
	return message
}
