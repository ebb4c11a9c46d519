// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"reflect"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// made returns the DaemonSet that comes of settings.
func made(t *testing.T, settings AgentSettings) appsv1.DaemonSet {
	t.Helper()
	manager := &appsv1.Deployment{}
	manager.Spec.Template.Spec.Containers = []corev1.Container{{Image: "i"}}
	applied, err := (&Operand{Namespace: "n", Settings: settings}).daemonSet(manager)
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(applied)
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.DaemonSet
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestEachSettingShapesItsPartOfTheAgents makes each change by hand to what the manifest is without settings, and wants just that.
func TestEachSettingShapesItsPartOfTheAgents(t *testing.T) {
	few := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m")}
	surge := func(by intstr.IntOrString) AgentSettings {
		return AgentSettings{UpdateStrategy: appsv1.DaemonSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: &by}}}
	}
	for name, c := range map[string]struct {
		settings AgentSettings
		change   func(d *appsv1.DaemonSet)
	}{
		"the log level": {AgentSettings{LogLevel: "debug"}, func(d *appsv1.DaemonSet) {
			container := &d.Spec.Template.Spec.Containers[0]
			container.Args = append(container.Args, "--zap-log-level=debug")
		}},
		"annotations":  {AgentSettings{PodAnnotations: map[string]string{"a": "b"}}, func(d *appsv1.DaemonSet) { d.Spec.Template.Annotations["a"] = "b" }},
		"the priority": {AgentSettings{PriorityClassName: "p"}, func(d *appsv1.DaemonSet) { d.Spec.Template.Spec.PriorityClassName = "p" }},
		"requests": {AgentSettings{Resources: &corev1.ResourceRequirements{Requests: few}}, func(d *appsv1.DaemonSet) {
			d.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: few}
		}},
		"limits": {AgentSettings{Resources: &corev1.ResourceRequirements{Limits: few}}, func(d *appsv1.DaemonSet) {
			d.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{Limits: few}
		}},
		"no resources": {AgentSettings{Resources: &corev1.ResourceRequirements{}}, func(d *appsv1.DaemonSet) {
			d.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
		}},
		"a surge by number": {surge(intstr.FromInt32(3)), func(d *appsv1.DaemonSet) { *d.Spec.UpdateStrategy.RollingUpdate.MaxSurge = intstr.FromInt32(3) }},
		"a surge by percentage": {surge(intstr.FromString("25%")), func(d *appsv1.DaemonSet) {
			*d.Spec.UpdateStrategy.RollingUpdate.MaxSurge = intstr.FromString("25%")
		}},
		"a strategy without details": {AgentSettings{UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
			Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: &appsv1.RollingUpdateDaemonSet{},
		}}, func(*appsv1.DaemonSet) {}},
		"OnDelete": {AgentSettings{UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}}, func(d *appsv1.DaemonSet) {
			d.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
		}},
	} {
		want := made(t, AgentSettings{})
		c.change(&want)
		if got := made(t, c.settings); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func TestWithoutSettingsNewAgentsRunBesideOldOnes(t *testing.T) {
	d := made(t, AgentSettings{})
	rolling := d.Spec.UpdateStrategy.RollingUpdate
	if d.Spec.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType || rolling.MaxUnavailable.String() != "0" || rolling.MaxSurge.String() != "10%" {
		t.Errorf("the strategy is %+v", d.Spec.UpdateStrategy)
	}
	if args := d.Spec.Template.Spec.Containers[0].Args; slices.Contains(args, "--zap-log-level=") {
		t.Errorf("the arguments are %q", args)
	}
}
