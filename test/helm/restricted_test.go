// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// exceptions are what an agent is that the Pod Security profile "restricted" forbids, each with all that is concerned.
var exceptions = map[string]string{
	"host namespaces":         "hostNetwork=true",
	"restricted volume types": `volumes "containers", "containerd", "containerd-config", "crio-config", "state", "vendor", "docker-certs", "trust", "trust-extracted", "containerd-running", "crio-running" use restricted volume type "hostPath"`,
	"runAsNonRoot != true":    `pod or container "agent" must set securityContext.runAsNonRoot=true`,
	"runAsUser=0":             `container "agent" must not set runAsUser=0`,
	"seLinuxOptions":          `container "agent" set forbidden securityContext.seLinuxOptions: type "spc_t"`,
}

// violations returns what "restricted" forbids of a Pod, by the code of the API server.
func violations(t *testing.T, pod *corev1.PodTemplateSpec) map[string]string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			found[result.ForbiddenReason] = result.ForbiddenDetail
		}
	}
	return found
}

func TestTheManagerIsRestricted(t *testing.T) {
	managers := map[string]corev1.PodTemplateSpec{}
	for _, base := range []string{"default", "crio-reload"} {
		d := typed[appsv1.Deployment](t, kustomized(t, base, "prometheus"), deployment)
		managers["config/"+base] = d.Spec.Template
	}
	eachHelm(t, func(t *testing.T, h helm) {
		d := typed[appsv1.Deployment](t, h.installs(t, "n", "{crioReload: true, serviceMonitor: {enabled: true}, proxy: {httpProxy: \"http://p\"}}"), deployment)
		managers[t.Name()] = d.Spec.Template
	})
	var csv struct {
		Spec struct {
			Install struct {
				Spec struct {
					Deployments []struct{ Spec appsv1.DeploymentSpec }
				}
			}
		}
	}
	read(t, "bundle/manifests/mirrorset.clusterserviceversion.yaml", &csv)
	for _, d := range csv.Spec.Install.Spec.Deployments {
		managers["bundle"] = d.Spec.Template
	}
	if len(managers) != 5 {
		t.Errorf("there are %d managers; want those of config/, chart and bundle", len(managers))
	}
	for name, pod := range managers {
		if diff := cmp.Diff(map[string]string{}, violations(t, &pod)); diff != "" {
			t.Errorf("%s: + is forbidden\n%s", name, diff)
		}
	}
}

func TestTheChartsTestIsRestricted(t *testing.T) {
	eachHelm(t, func(t *testing.T, h helm) {
		_, tests := h.renders(t, "n", "")
		pod := typed[corev1.Pod](t, tests, "Pod/mirrorset-test")
		if diff := cmp.Diff(map[string]string{}, violations(t, &corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec})); diff != "" {
			t.Errorf("+ is forbidden\n%s", diff)
		}
	})
}

// The manager brings the agents, whatever it was installed by itself. With --crio-reload, it adds hostPID to what the file has.
func TestAnAgentIsRestrictedButForNamedExceptions(t *testing.T) {
	var agents appsv1.DaemonSet
	read(t, "internal/controller/operand/agent.yaml", &agents)
	if diff := cmp.Diff(exceptions, violations(t, &agents.Spec.Template)); diff != "" {
		t.Errorf("- is an exception, + is forbidden\n%s", diff)
	}
	agents.Spec.Template.Spec.HostPID = true
	if got := violations(t, &agents.Spec.Template)["host namespaces"]; got != "hostNetwork=true, hostPID=true" {
		t.Errorf("with --crio-reload: %s", got)
	}
}

func TestTheExceptionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(root + "docs/explanation/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The Pods\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		documented[row[1]] = true
	}
	want := map[string]bool{}
	for reason := range exceptions {
		want[reason] = true
	}
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("- is an exception, + is in docs/explanation/security.md\n%s", diff)
	}
}

// read reads a file of the checkout.
func read(t *testing.T, name string, out any) {
	t.Helper()
	text, err := os.ReadFile(root + name)
	if err == nil {
		err = yaml.Unmarshal(text, out)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
