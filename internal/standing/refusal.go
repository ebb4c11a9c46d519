// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package standing

import "strings"

// Refusal is what keeps the agents' Pods off a cluster.
type Refusal struct {
	// Why is what the API server said, without the name of a Pod, which is another one each time.
	Why string
	// Remedy is the command that lets the agents in; empty where we know none.
	Remedy string
}

// RefusalOf reads the message of an event FailedCreate of the agents' DaemonSet in a namespace.
func RefusalOf(message, namespace string) Refusal {
	r := Refusal{Why: message}
	if _, why, ok := strings.Cut(message, " is forbidden: "); ok {
		r.Why = why
	}
	if strings.Contains(r.Why, "violates PodSecurity") {
		r.Remedy = AllowAgents(namespace)
	}
	return r
}

// String says it in a sentence, with the remedy.
func (r Refusal) String() string {
	if r.Remedy == "" {
		return "the cluster refuses the agents' Pods: " + r.Why
	}
	return "Pod security refuses the agents, which write files of the host; allow them with: " + r.Remedy + " (" + r.Why + ")"
}

// AllowAgents is the command that has Pod security let the agents into a namespace.
func AllowAgents(namespace string) string {
	return "kubectl label --overwrite namespace " + namespace + " pod-security.kubernetes.io/enforce=privileged"
}
