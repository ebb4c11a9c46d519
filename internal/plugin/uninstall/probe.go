// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package uninstall

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// withProbe returns the DaemonSet with the probe, and with an update that reaches every node: agents that only people replace would never
// get it (--agent-update-strategy).
func withProbe(d *appsv1.DaemonSet) *appsv1.DaemonSet {
	whole := &appsv1.DaemonSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "DaemonSet"},
		ObjectMeta: metav1.ObjectMeta{Name: d.Name, Namespace: d.Namespace, Labels: d.Labels, Annotations: d.Annotations, OwnerReferences: d.OwnerReferences},
		Spec:       *d.Spec.DeepCopy(),
	}
	whole.Spec.Template.Spec.Containers[0].ReadinessProbe = cleanProbe()
	if whole.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		whole.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{
			Type:          appsv1.RollingUpdateDaemonSetStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: new(intstr.FromString("10%")), MaxUnavailable: new(intstr.FromInt32(0))},
		}
	}
	return whole
}
