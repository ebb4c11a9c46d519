// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const everything = "serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}, pdb: {enabled: true}"

// TestRefusedValues expects an error that names the value, the reason and the remedy.
func TestRefusedValues(t *testing.T) {
	for values, want := range map[string]string{
		`canary: {selector: a}`:                                                         "canary.selector and canary.soak: ",
		`canary: {soak: 5m}`:                                                            "canary.selector and canary.soak: ",
		`nameOverride: site`:                                                            `nameOverride="site": the objects of Mirrorset cannot be renamed, because`,
		`fullnameOverride: site`:                                                        "remove fullnameOverride",
		`commonLabels: {app.kubernetes.io/name: site}`:                                  "commonLabels: the chart sets the label app.kubernetes.io/name itself; remove it from commonLabels",
		`commonLabels: {helm.sh/chart: site}`:                                           "the label helm.sh/chart itself",
		`podLabels: {app.kubernetes.io/component: site}`:                                "podLabels: the chart sets the label app.kubernetes.io/component itself",
		`serviceAccount: {create: false}`:                                               "set serviceAccount.name to an account in the release's namespace",
		`serviceAccount: {name: mirrorset-agent}`:                                       `serviceAccount.name="mirrorset-agent": another part of Mirrorset uses this account; choose another name`,
		`extraEnv: [{name: POD_NAMESPACE, value: x}]`:                                   "extraEnv: POD_NAMESPACE is set twice; remove it from extraEnv",
		`{proxy: {httpProxy: p}, extraEnv: [{name: NO_PROXY, value: x}]}`:               "extraEnv: NO_PROXY is set twice",
		`extraEnv: [{name: A, value: a}, {name: A, value: b}]`:                          "extraEnv: A is set twice",
		`extraEnv: [{name: https_proxy, valueFrom: {secretKeyRef: {name: p, key: p}}}]`: "copies https_proxy as plain text into the agents' DaemonSet",
		`pdb: {enabled: true, minAvailable: 0, maxUnavailable: 1}`:                      "pdb.minAvailable and pdb.maxUnavailable are both set: ",
		`agent: {updateStrategy: {rollingUpdate: {maxUnavailable: 1}}}`:                 "agent.updateStrategy.rollingUpdate.maxUnavailable is 1: it can only be 0, because",
		`agent: {updateStrategy: {rollingUpdate: {maxUnavailable: "10%"}}}`:             "set agent.updateStrategy.rollingUpdate.maxSurge instead",
		`agent: {updateStrategy: {type: OnDelete, rollingUpdate: {maxSurge: 1}}}`:       "agent.updateStrategy has type OnDelete and a rollingUpdate: remove one of them",
	} {
		t.Run(values, func(t *testing.T) {
			eachHelm(t, func(t *testing.T, h helm) {
				if _, err := h("n", values); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %v; want one with %s", err, want)
				}
			})
		})
	}
}

// TestCommonLabelsAreOnEveryObject expects them in addition to all other labels. An object's own labels win.
func TestCommonLabelsAreOnEveryObject(t *testing.T) {
	eachHelm(t, func(t *testing.T, h helm) {
		plain, plainTests := h.renders(t, "n", "{"+everything+"}")
		got, gotTests := h.renders(t, "n", `{commonLabels: {team: a, x.example/y: "1"}, serviceMonitor: {enabled: true, labels: {team: b}}, prometheusRule: {enabled: true}, dashboard: {enabled: true}, pdb: {enabled: true}}`)
		for _, pair := range [][2]objects{{plain, got}, {plainTests, gotTests}} {
			for key, object := range pair[0] {
				want := maps.Clone(object["metadata"].(map[string]any)["labels"].(map[string]any))
				want["team"], want["x.example/y"] = "a", "1"
				if key == "ServiceMonitor/mirrorset-manager" || key == "PodMonitor/mirrorset-agent" {
					want["team"] = "b"
				}
				if diff := cmp.Diff(any(want), pair[1][key]["metadata"].(map[string]any)["labels"]); diff != "" {
					t.Errorf("%s: %s", key, diff)
				}
			}
		}
	})
}

// TestTheManagersAccountHasTheRightsByItsName holds all objects to those with the usual name, but for the name.
func TestTheManagersAccountHasTheRightsByItsName(t *testing.T) {
	eachHelm(t, func(t *testing.T, h helm) {
		for values, created := range map[string]bool{`{name: other, annotations: {a: b}}`: true, `{name: other, create: false}`: false} {
			want, got := h.installs(t, "n", "{"+everything+"}"), h.installs(t, "n", "{serviceAccount: "+values+", "+everything+"}")
			account := want["ServiceAccount/mirrorset-manager"]
			delete(want, "ServiceAccount/mirrorset-manager")
			if created {
				account["metadata"].(map[string]any)["name"] = "other"
				account["metadata"].(map[string]any)["annotations"] = map[string]any{"a": "b"}
				want["ServiceAccount/other"] = account
			}
			bindings := 0
			for _, object := range want {
				subjects, _ := object["subjects"].([]any)
				for _, s := range subjects {
					if subject := s.(map[string]any); subject["name"] == "mirrorset-manager" {
						subject["name"] = "other"
						bindings++
					}
				}
			}
			want[deployment]["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["serviceAccountName"] = "other"
			if diff := cmp.Diff(want, got); diff != "" || bindings != 4 {
				t.Errorf("%s: %d bindings\n%s", values, bindings, diff)
			}
		}
	})
}

func TestADisruptionBudgetIsOfTheManagersPods(t *testing.T) {
	one, half := intstr.FromInt32(1), intstr.FromString("50%")
	for values, want := range map[string]policyv1.PodDisruptionBudgetSpec{
		`{enabled: true}`:                                            {MaxUnavailable: &one},
		`{enabled: true, maxUnavailable: "50%"}`:                     {MaxUnavailable: &half},
		`{enabled: true, minAvailable: 1}`:                           {MinAvailable: &one},
		`{enabled: true, minAvailable: "50%", maxUnavailable: null}`: {MinAvailable: &half},
	} {
		eachHelm(t, func(t *testing.T, h helm) {
			all := h.installs(t, "n", "pdb: "+values)
			got := typed[policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget/mirrorset-manager")
			want.Selector = got.Spec.Selector
			if diff := cmp.Diff(want, got.Spec); diff != "" || got.Namespace != "n" {
				t.Errorf("%s: in %s, %s", values, got.Namespace, diff)
			}
			if diff := cmp.Diff(all[deployment]["spec"].(map[string]any)["selector"], all["PodDisruptionBudget/mirrorset-manager"]["spec"].(map[string]any)["selector"]); diff != "" {
				t.Errorf("it selects %s", diff)
			}
		})
	}
}

func TestTheIntervalIsOfBothMonitors(t *testing.T) {
	eachHelm(t, func(t *testing.T, h helm) {
		for values, want := range map[string]monitoringv1.Duration{"": "", ", interval: 45s": "45s"} {
			all := h.installs(t, "n", "serviceMonitor: {enabled: true"+values+"}")
			manager, agent := typed[monitoringv1.ServiceMonitor](t, all, "ServiceMonitor/mirrorset-manager"), typed[monitoringv1.PodMonitor](t, all, "PodMonitor/mirrorset-agent")
			if got := manager.Spec.Endpoints[0].Interval; got != want {
				t.Errorf("the ServiceMonitor has %s, want %s", got, want)
			}
			if got := agent.Spec.PodMetricsEndpoints[0].Interval; got != want {
				t.Errorf("the PodMonitor has %s, want %s", got, want)
			}
		}
	})
}

// TestTheTestRunsTheInstalledImageWithNoOtherRights wants a Pod like the manager's, which may read two objects.
func TestTheTestRunsTheInstalledImageWithNoOtherRights(t *testing.T) {
	eachHelm(t, func(t *testing.T, h helm) {
		installed, tests := h.renders(t, "n", `{image: {registry: r.example, tag: v9, pullPolicy: Always}, imagePullSecrets: [{name: s}], nodeSelector: {a: b}, tolerations: [{operator: Exists}]}`)
		d := typed[appsv1.Deployment](t, installed, deployment)
		manager, pod := d.Spec.Template.Spec, typed[corev1.Pod](t, tests, "Pod/mirrorset-test")
		if len(tests) != 4 || pod.Spec.Containers[0].Image != "r.example/mirrorset/mirrorset:v9" {
			t.Errorf("there are %d objects, and the Pod runs %s", len(tests), pod.Spec.Containers[0].Image)
		}
		if diff := cmp.Diff([]any{manager.Containers[0].Image, manager.Containers[0].ImagePullPolicy, manager.ImagePullSecrets, manager.NodeSelector, manager.Tolerations, manager.SecurityContext},
			[]any{pod.Spec.Containers[0].Image, pod.Spec.Containers[0].ImagePullPolicy, pod.Spec.ImagePullSecrets, pod.Spec.NodeSelector, pod.Spec.Tolerations, pod.Spec.SecurityContext}); diff != "" {
			t.Error(diff)
		}
		want := []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"containers-registries.conf"}, Verbs: []string{"get"}},
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: []string{"mirrorset-manager"}, Verbs: []string{"get"}},
			{APIGroups: []string{"apps"}, Resources: []string{"daemonsets"}, ResourceNames: []string{"mirrorset-agent"}, Verbs: []string{"get"}},
		}
		if diff := cmp.Diff(want, typed[rbacv1.Role](t, tests, "Role/mirrorset-test").Rules); diff != "" {
			t.Error(diff)
		}
		binding := typed[rbacv1.RoleBinding](t, tests, "RoleBinding/mirrorset-test")
		if binding.Namespace != "n" || binding.RoleRef.Name != "mirrorset-test" || binding.Subjects[0].Name != pod.Spec.ServiceAccountName || binding.Subjects[0].Namespace != "n" {
			t.Errorf("the rights are bound by %+v", binding)
		}
		for label, value := range installed[deployment]["spec"].(map[string]any)["selector"].(map[string]any)["matchLabels"].(map[string]any) {
			if label == "app.kubernetes.io/component" && pod.Labels[label] == value {
				t.Error("the manager's selectors select the test")
			}
		}
	})
}
