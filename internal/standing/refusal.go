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

// RefusalMinutes is how long a refusal counts if no later event follows it. The DaemonSet controller repeats an event at least every five
// minutes.
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

// Refusal describes what keeps the agents' Pods out of a cluster.
type Refusal struct {
	// Why is the message of the API server, without the name of the Pod, because that name differs each time.
	Why string
	// Remedy is the command that lets the agents in. It is empty where no such command is known.
	Remedy string
}

// Complete reports whether every node that should have an agent has a Pod of the latest version, ready or not.
func Complete(d *appsv1.DaemonSet) bool {
	return d.Status.ObservedGeneration >= d.Generation &&
		min(d.Status.CurrentNumberScheduled, d.Status.UpdatedNumberScheduled) >= d.Status.DesiredNumberScheduled
}

// Refused returns why the cluster currently refuses Pods of the agents' DaemonSet, according to the events about it. It ignores events from
// before a time, and refusals that a successful creation of a Pod followed. It returns nil where Pods are only not created yet, or where an
// API server in trouble failed to create them.
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
	if last == nil || last.LastTimestamp.Before(&over) { // within one second, both can be true for different nodes
		return nil
	}
	refusal := refusalOf(last.Message, d.Namespace)
	return &refusal
}

// isRefusal distinguishes a refusal of the API server from a failure.
func isRefusal(message string) bool {
	return slices.ContainsFunc([]string{" is forbidden: ", " denied the request", "failed calling webhook", " is invalid: "}, func(part string) bool {
		return strings.Contains(message, part)
	})
}

// refusalOf parses the message of a FailedCreate event of a DaemonSet in a namespace.
func refusalOf(message, namespace string) Refusal {
	_, why, ok := strings.Cut(message, " is forbidden: ")
	if !ok {
		if _, why, ok = strings.Cut(message, "Error creating: "); !ok { // a combined event has a prefix before it
			why = message
		}
	}
	r := Refusal{Why: why}
	if strings.Contains(why, "violates PodSecurity") {
		r.Remedy = AllowAgents(namespace)
	}
	return r
}

// String formats the refusal as one sentence, with the remedy.
func (r Refusal) String() string {
	if r.Remedy == "" {
		return "the API server refuses the agents' Pods: " + r.Why
	}
	return "Pod Security Admission refuses the agents, because they write files on the host; allow the agents with: " + r.Remedy + " (" + r.Why + ")"
}

// AllowAgents is the command that makes Pod security admission let the agents into a namespace.
func AllowAgents(namespace string) string {
	return "kubectl label --overwrite namespace " + namespace + " pod-security.kubernetes.io/enforce=privileged"
}
