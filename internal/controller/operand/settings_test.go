// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
)

func TestTheNodesThatCountAreThoseThatTheDaemonSetSelects(t *testing.T) {
	everywhere := []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	for _, c := range []struct {
		name     string
		node     corev1.Node
		settings AgentSettings
		want     bool
	}{
		{"a Linux node", fleettest.Node("n"), AgentSettings{}, true},
		{"another system's", fleettest.Node("n", fleettest.Labelled(corev1.LabelOSStable, "windows")), AgentSettings{}, false},
		{"one that was opted out", fleettest.Node("n", fleettest.Labelled(optOutLabel, "disabled")), AgentSettings{}, false},
		{"one with another value of that label", fleettest.Node("n", fleettest.Labelled(optOutLabel, "enabled")), AgentSettings{}, true},
		{"one outside of a canary", fleettest.Node("n"), AgentSettings{NodeSelector: map[string]string{"canary": ""}}, false},
		{"one of a canary", fleettest.Node("n", fleettest.Labelled("canary", "")), AgentSettings{NodeSelector: map[string]string{"canary": ""}}, true},
		{"one with a taint", fleettest.Node("n", fleettest.Tainted("gpu", corev1.TaintEffectNoSchedule)), AgentSettings{}, false},
		{"one with a taint that all tolerate", fleettest.Node("n", fleettest.Tainted("gpu", corev1.TaintEffectNoExecute)), AgentSettings{Tolerations: everywhere}, true},
		{"one with a taint that is tolerated by its value", fleettest.Node("n", fleettest.Tainted("gpu", corev1.TaintEffectNoSchedule)),
			AgentSettings{Tolerations: []corev1.Toleration{{Key: "gpu", Value: "v", Effect: corev1.TaintEffectNoSchedule}}}, true},
		{"one with another value of it", fleettest.Node("n", fleettest.Tainted("gpu", corev1.TaintEffectNoSchedule)),
			AgentSettings{Tolerations: []corev1.Toleration{{Key: "gpu", Value: "w"}}}, false},
		{"one with another effect of it", fleettest.Node("n", fleettest.Tainted("gpu", corev1.TaintEffectNoExecute)),
			AgentSettings{Tolerations: []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}}, false},
		{"one with a taint that is a wish", fleettest.Node("n", fleettest.Tainted("gpu", corev1.TaintEffectPreferNoSchedule)), AgentSettings{}, true},
		{"one that is not ready", fleettest.Node("n", fleettest.Tainted(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)), AgentSettings{}, true},
		{"one that is cordoned", fleettest.Node("n", fleettest.Tainted(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule)), AgentSettings{}, true},
	} {
		if got := c.settings.Counts(&c.node); got != c.want {
			t.Errorf("%s: got %t", c.name, got)
		}
	}
}
