// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

func TestAgentsServeMetricsOnlyWhereTheyAreToldTo(t *testing.T) {
	for address, want := range map[string]string{"": "", "0": "", ":290": "--metrics-bind-address=:290", "10.0.0.1:290": "--metrics-bind-address=10.0.0.1:290"} {
		o := &Operand{Namespace: "n", Settings: AgentSettings{MetricsAddress: address}}
		manager := &appsv1.Deployment{}
		manager.Spec.Template.Spec.Containers = []corev1.Container{{Image: "i"}}
		d, err := o.daemonSet(manager)
		if err != nil {
			t.Fatal(err)
		}
		container := d.Spec.Template.Spec.Containers[0]
		i := slices.IndexFunc(container.Args, func(arg string) bool { return strings.HasPrefix(arg, "--metrics-") })
		got := ""
		if i >= 0 {
			got = container.Args[i]
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
		if len(container.Ports) > 0 {
			t.Error("a declared port of the host's would keep a successor from starting beside its predecessor")
		}
	}
}

// test/helm judges by the Pod Security profile what the manifest and --crio-reload make of the agents.
func TestToReloadCRIOAnAgentSeesTheHostsProcessesAndIsTheSameOtherwise(t *testing.T) {
	manager := &appsv1.Deployment{}
	manager.Spec.Template.Spec.Containers = []corev1.Container{{Image: "i"}}
	var pods [2]*corev1ac.PodSpecApplyConfiguration
	for i, reload := range []bool{false, true} {
		d, err := (&Operand{Namespace: "n", Settings: AgentSettings{ReloadCRIO: reload}}).daemonSet(manager)
		if err != nil {
			t.Fatal(err)
		}
		pods[i] = d.Spec.Template.Spec
		pods[i].Containers[0].Args = nil
	}
	if pods[0].HostPID != nil || pods[1].HostPID == nil || !*pods[1].HostPID {
		t.Fatalf("hostPID is %v without it, and %v with it", pods[0].HostPID, pods[1].HostPID)
	}
	pods[1].HostPID = nil
	if !reflect.DeepEqual(pods[0], pods[1]) {
		t.Errorf("got %+v, want %+v", pods[1], pods[0])
	}
}

func TestTheDaemonSetSelectsByTheAgentsLabels(t *testing.T) {
	manager := &appsv1.Deployment{}
	manager.Spec.Template.Spec.Containers = []corev1.Container{{Image: "i"}}
	d, err := (&Operand{Namespace: "n"}).daemonSet(manager)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Spec.Selector.MatchLabels; !maps.Equal(got, AgentLabels) {
		t.Errorf("got %q, want %q", got, AgentLabels)
	}
}
