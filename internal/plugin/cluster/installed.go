// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// What config/default installs.
const (
	Namespace         = "mirrorset-system"
	ManagerDeployment = "mirrorset-manager"
	AgentDaemonSet    = "mirrorset-agent"
)

// Selectors of the Pods.
const (
	ManagerPods = "app.kubernetes.io/name=mirrorset,app.kubernetes.io/component=manager"
	AgentPods   = "app.kubernetes.io/name=mirrorset,app.kubernetes.io/component=agent"
)

// ReadyAgents counts the nodes whose agent is of the latest version and ready.
func ReadyAgents(d *appsv1.DaemonSet) int32 {
	return min(d.Status.UpdatedNumberScheduled, d.Status.NumberAvailable, d.Status.NumberReady)
}

// IsReady tells whether a Pod says so.
func IsReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
