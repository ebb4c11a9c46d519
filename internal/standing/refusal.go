// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package standing

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RefusalMinutes is how long a refusal counts that nothing follows. The DaemonSet controller tells one of them every five minutes at least.
const RefusalMinutes = 10

// The reasons of the events of the DaemonSet controller.
const (
	failedCreate     = "FailedCreate"
	successfulCreate = "SuccessfulCreate"
)

// EventsOf is the field selector of the events about a DaemonSet, for [Refused].
func EventsOf(daemonSet string) string {
	return "involvedObject.kind=DaemonSet,involvedObject.name=" + daemonSet
}

// Refusal is what keeps the agents' Pods off a cluster.
type Refusal struct {
	// Why is what the API server said, without the name of a Pod, which is another one each time.
	Why string
	// Remedy is the command that lets the agents in; empty where we know none.
	Remedy string
}

// Complete tells whether every node that is to have an agent has a Pod of the latest version, be it ready or not.
func Complete(d *appsv1.DaemonSet) bool {
	return d.Status.ObservedGeneration >= d.Generation &&
		min(d.Status.CurrentNumberScheduled, d.Status.UpdatedNumberScheduled) >= d.Status.DesiredNumberScheduled
}

// Refused returns why the cluster refuses Pods of the agents' DaemonSet at present, by the events about it. What was before a time is over,
// and so is what a created Pod follows. It returns nil where Pods are only yet to come, or failed by an API server in trouble.
func Refused(d *appsv1.DaemonSet, events []corev1.Event, over metav1.Time) *Refusal {
	if Complete(d) {
		return nil
	}
	var last *corev1.Event
	for i := range events {
		e := &events[i]
		switch {
		case e.InvolvedObject.UID != d.UID:
		case e.Reason == successfulCreate && over.Before(&e.LastTimestamp):
			over = e.LastTimestamp
		case e.Reason == failedCreate && isRefusal(e.Message) && (last == nil || last.LastTimestamp.Before(&e.LastTimestamp)):
			last = e
		}
	}
	if last == nil || last.LastTimestamp.Before(&over) { // in the same second both may be true of different nodes
		return nil
	}
	refusal := refusalOf(last.Message, d.Namespace)
	return &refusal
}

// isRefusal tells what the API server refuses from what it fails to do.
func isRefusal(message string) bool {
	return slices.ContainsFunc([]string{" is forbidden: ", " denied the request", "failed calling webhook", " is invalid: "}, func(part string) bool {
		return strings.Contains(message, part)
	})
}

// refusalOf reads the message of an event FailedCreate of a DaemonSet in a namespace.
func refusalOf(message, namespace string) Refusal {
	_, why, ok := strings.Cut(message, " is forbidden: ")
	if !ok {
		if _, why, ok = strings.Cut(message, "Error creating: "); !ok { // before which can be that it is one of several
			why = message
		}
	}
	r := Refusal{Why: why}
	if strings.Contains(why, "violates PodSecurity") {
		r.Remedy = AllowAgents(namespace)
	}
	return r
}

// String says it in a sentence, with the remedy.
func (r Refusal) String() string {
	if r.Remedy == "" {
		return "the API server refuses the agents' Pods: " + r.Why
	}
	return "Pod Security Admission refuses the agents, because they write files on the host; allow the agents with: " + r.Remedy + " (" + r.Why + ")"
}

// AllowAgents is the command that has Pod security let the agents into a namespace.
func AllowAgents(namespace string) string {
	return "kubectl label --overwrite namespace " + namespace + " pod-security.kubernetes.io/enforce=privileged"
}
