// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import (
	"bytes"
	"os"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"sigs.k8s.io/yaml"
)

// monitors reads the two as the operator's API has them.
func monitors(t *testing.T) (manager monitoringv1.ServiceMonitor, agent monitoringv1.PodMonitor) {
	t.Helper()
	text, err := os.ReadFile(root + "config/prometheus/monitors.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(text, []byte("\n---\n"))
	if len(documents) != 2 {
		t.Fatalf("%d documents", len(documents))
	}
	if err := yaml.UnmarshalStrict(documents[0], &manager); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(documents[1], &agent); err != nil {
		t.Fatal(err)
	}
	return manager, agent
}

// target relabels what was discovered, after the operator's own rules have done so, which set what is in preset.
func target(t *testing.T, rules []monitoringv1.RelabelConfig, preset ...string) labels.Labels {
	t.Helper()
	b := labels.NewBuilder(labels.FromStrings(preset...))
	for _, r := range rules {
		c := relabel.DefaultRelabelConfig
		c.NameValidationScheme = model.UTF8Validation
		for _, l := range r.SourceLabels {
			c.SourceLabels = append(c.SourceLabels, model.LabelName(l))
		}
		if r.Regex != "" {
			c.Regex = relabel.MustNewRegexp(r.Regex)
		}
		if r.Replacement != nil {
			c.Replacement = *r.Replacement
		}
		if r.Action != "" {
			c.Action = relabel.Action(r.Action)
		}
		c.TargetLabel = r.TargetLabel
		if err := c.Validate(model.UTF8Validation); err != nil {
			t.Fatal(err)
		}
		if !relabel.ProcessBuilder(b, &c) {
			t.Fatalf("%+v drops %v", r, preset)
		}
	}
	b.Range(func(l labels.Label) {
		if l.Name != model.AddressLabel && len(l.Name) > 2 && l.Name[:2] == "__" {
			b.Del(l.Name)
		}
	})
	return b.Labels()
}

func TestAnAgentIsFoundByItsNode(t *testing.T) {
	_, monitor := monitors(t)
	endpoint := monitor.Spec.PodMetricsEndpoints[0]
	if endpoint.Port != nil || endpoint.PortNumber != nil {
		t.Error("a port that no container declares finds nothing")
	}
	for ip, address := range map[string]string{"10.0.0.1": "10.0.0.1:290", "fd00::7": "[fd00::7]:290"} {
		discovered := func(pod string) []string {
			return []string{
				"__address__", ip, "__meta_kubernetes_pod_ip", ip, "__meta_kubernetes_pod_node_name", "node-1", "__meta_kubernetes_pod_name", pod,
				"namespace", "mirrorset-system", "container", "agent", "pod", pod, "job", "mirrorset-system/mirrorset-agent",
			}
		}
		want := labels.FromStrings("__address__", address, "job", agentJob, "namespace", "mirrorset-system", "container", "agent", "node", "node-1")
		for _, pod := range []string{"mirrorset-agent-old", "mirrorset-agent-new"} { // one target, while one replaces the other
			if got := target(t, endpoint.RelabelConfigs, discovered(pod)...); !labels.Equal(got, want) {
				t.Errorf("%s at %s: got %s, want %s", pod, ip, got, want)
			}
		}
	}
}

func TestTheManagerIsFoundByItsJob(t *testing.T) {
	monitor, _ := monitors(t)
	got := target(t, monitor.Spec.Endpoints[0].RelabelConfigs, "__address__", "10.1.2.3:8443", "namespace", "n", "pod", "p", "job", "mirrorset-manager-metrics")
	if want := labels.FromStrings("__address__", "10.1.2.3:8443", "job", managerJob, "namespace", "n", "pod", "p"); !labels.Equal(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNoTokenOfPrometheussOwnIsSentToANode(t *testing.T) {
	manager, agent := monitors(t)
	for what, a := range map[string]*monitoringv1.SafeAuthorization{"the manager": manager.Spec.Endpoints[0].Authorization, "the agents": agent.Spec.PodMetricsEndpoints[0].Authorization} {
		if a == nil || a.Credentials == nil || a.Credentials.Name != "mirrorset-prometheus" || a.Credentials.Key != "token" {
			t.Errorf("%s: %+v", what, a)
		}
	}
	if file := manager.Spec.Endpoints[0].BearerTokenFile; file != "" { //nolint:staticcheck // it must not be used
		t.Errorf("the manager is sent %s", file)
	}
}
