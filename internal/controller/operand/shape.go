// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	appsv1 "k8s.io/api/apps/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// shape gives the agents' Pods what an administrator chose for them in the place of what the manifest has, and has new Pods replace old
// ones as they chose.
func (s AgentSettings) shape(d *appsv1ac.DaemonSetApplyConfiguration) {
	pod := d.Spec.Template
	pod.WithAnnotations(s.PodAnnotations)
	if s.PriorityClassName != "" {
		pod.Spec.WithPriorityClassName(s.PriorityClassName)
	}
	if s.Resources != nil {
		resources := corev1ac.ResourceRequirements()
		if s.Resources.Requests != nil {
			resources.WithRequests(s.Resources.Requests)
		}
		if s.Resources.Limits != nil {
			resources.WithLimits(s.Resources.Limits)
		}
		pod.Spec.Containers[0].WithResources(resources)
	}
	switch rolling := s.UpdateStrategy.RollingUpdate; {
	case s.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType:
		d.Spec.WithUpdateStrategy(appsv1ac.DaemonSetUpdateStrategy().WithType(appsv1.OnDeleteDaemonSetStrategyType))
	case rolling != nil && rolling.MaxSurge != nil:
		d.Spec.UpdateStrategy.RollingUpdate.WithMaxSurge(*rolling.MaxSurge)
	}
}
