// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package standing_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirrorset/mirrorset/internal/standing"
)

const forbidden = `Error creating: pods "mirrorset-agent-x7v2p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`

var now = time.Now()

// without is the agents' DaemonSet that lacks Pods on some of three nodes.
func without(missing int32) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "operators", UID: "now", Generation: 2},
		Status: appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 3, CurrentNumberScheduled: 3 - missing, UpdatedNumberScheduled: 3 - missing}}
}

func event(uid types.UID, reason string, ago time.Duration, message string) corev1.Event {
	return corev1.Event{InvolvedObject: corev1.ObjectReference{UID: uid}, Reason: reason, Message: message, LastTimestamp: metav1.Time{Time: now.Add(-ago)}}
}

func TestARefusalNamesWhatHelps(t *testing.T) {
	for _, tt := range []struct{ message, why, remedy string }{
		{
			forbidden, `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`,
			"kubectl label --overwrite namespace operators pod-security.kubernetes.io/enforce=privileged",
		},
		{
			"(combined from similar events): " + forbidden, `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`,
			"kubectl label --overwrite namespace operators pod-security.kubernetes.io/enforce=privileged",
		},
		{`Error creating: pods "mirrorset-agent-x7v2p" is forbidden: exceeded quota: pods, requested: pods=1`, "exceeded quota: pods, requested: pods=1", ""},
		{`Error creating: admission webhook "policy.example" denied the request: no hostPath`, `admission webhook "policy.example" denied the request: no hostPath`, ""},
		{`(combined from similar events): Error creating: admission webhook "policy.example" denied the request: no hostPath`, `admission webhook "policy.example" denied the request: no hostPath`, ""},
		{`Error creating: Internal error occurred: failed calling webhook "policy.example": no endpoints`, `Internal error occurred: failed calling webhook "policy.example": no endpoints`, ""},
	} {
		got := standing.Refused(without(1), []corev1.Event{event("now", "FailedCreate", time.Second, tt.message)}, metav1.Time{})
		if got == nil || got.Why != tt.why || got.Remedy != tt.remedy {
			t.Errorf("%s: %+v", tt.message, got)
		}
	}
}

func TestOnlyWhatTheClusterRefusesAtPresentIsARefusal(t *testing.T) {
	refused := event("now", "FailedCreate", 2*time.Minute, forbidden)
	created := func(ago time.Duration) corev1.Event {
		return event("now", "SuccessfulCreate", ago, "Created pod: mirrorset-agent-x7v2p")
	}
	lagging, old := without(0), without(0)
	lagging.Generation++
	old.Status.UpdatedNumberScheduled = 0
	for name, tt := range map[string]struct {
		daemonSet *appsv1.DaemonSet
		events    []corev1.Event
		since     time.Duration
		want      bool
	}{
		"a Pod is refused":                           {without(3), []corev1.Event{refused}, time.Hour, true},
		"some Pods are refused":                      {without(1), []corev1.Event{created(3 * time.Minute), refused}, time.Hour, true},
		"one in the same second as another is made":  {without(1), []corev1.Event{created(2 * time.Minute), refused}, time.Hour, true},
		"a Pod of the next version is refused":       {old, []corev1.Event{refused}, time.Hour, true},
		"the next version is not looked at yet":      {lagging, []corev1.Event{refused}, time.Hour, true},
		"all nodes have one":                         {without(0), []corev1.Event{refused}, time.Hour, false},
		"there is no node for one":                   {&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{UID: "now"}}, []corev1.Event{refused}, time.Hour, false},
		"Pods are yet to come":                       {without(3), nil, time.Hour, false},
		"a Pod was made afterwards":                  {without(1), []corev1.Event{refused, created(time.Minute)}, time.Hour, false},
		"all nodes had one afterwards":               {without(1), []corev1.Event{refused}, time.Minute, false},
		"it was long ago":                            {without(1), []corev1.Event{event("now", "FailedCreate", 11*time.Minute, forbidden)}, time.Hour, false},
		"it was another DaemonSet of that name":      {without(3), []corev1.Event{event("before", "FailedCreate", time.Second, forbidden)}, time.Hour, false},
		"the API server was in trouble":              {without(3), []corev1.Event{event("now", "FailedCreate", time.Second, "Error creating: etcdserver: request timed out")}, time.Hour, false},
		"somebody else wrote to the quota meanwhile": {without(3), []corev1.Event{event("now", "FailedCreate", time.Second, `Error creating: Operation cannot be fulfilled on resourcequotas "q": the object has been modified`)}, time.Hour, false},
	} {
		if got := standing.Refused(tt.daemonSet, tt.events, metav1.Time{Time: now.Add(-min(tt.since, standing.RefusalMinutes*time.Minute))}); (got != nil) != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
