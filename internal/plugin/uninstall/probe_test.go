// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package uninstall

import (
	"reflect"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestTheProbeReachesEveryNodeWhateverTheUpdateStrategy(t *testing.T) {
	surge := func(by string) appsv1.DaemonSetUpdateStrategy {
		return appsv1.DaemonSetUpdateStrategy{
			Type:          appsv1.RollingUpdateDaemonSetStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: new(intstr.FromString(by)), MaxUnavailable: new(intstr.FromInt32(0))},
		}
	}
	for _, c := range []struct {
		has, want appsv1.DaemonSetUpdateStrategy
	}{
		{surge("25%"), surge("25%")},
		{appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}, surge("10%")},
	} {
		d := &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{UpdateStrategy: c.has}}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "agent"}}
		got := withProbe(d)
		if !reflect.DeepEqual(got.Spec.UpdateStrategy, c.want) || !reflect.DeepEqual(got.Spec.Template.Spec.Containers[0].ReadinessProbe, cleanProbe()) {
			t.Errorf("of %+v comes %+v", c.has, got.Spec)
		}
		if d.Spec.Template.Spec.Containers[0].ReadinessProbe != nil {
			t.Error("the DaemonSet that was read is changed")
		}
	}
}
