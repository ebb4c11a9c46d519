// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/action"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const deployment = "Deployment/mirrorset-manager"

// TestValues changes one value after the other, and expects exactly the matching change of the Deployment.
func TestValues(t *testing.T) {
	for values, change := range map[string]func(d *appsv1.Deployment){
		`image: {registry: r.example}`:                          image("r.example/mirrorset/mirrorset"),
		`image: {registry: "r.example:5000/proxy"}`:             image("r.example:5000/proxy/mirrorset/mirrorset"),
		`image: {registry: r.example, repository: m}`:           image("r.example/m"),
		`image: {registry: r.example, repository: ghcr.io/m}`:   image("r.example/ghcr.io/m"), // as many proxies have it
		`image: {repository: "registry.site.example:5000/m/m"}`: image("registry.site.example:5000/m/m"),
		`image: {repository: "host:5000/m"}`:                    image("host:5000/m"),
		`image: {repository: localhost/m}`:                      image("localhost/m"),
		`image: {repository: r.example/m}`:                      image("r.example/m"),
		`image: {repository: m/m}`:                              image("ghcr.io/m/m"),
		`image: {repository: m.m}`:                              image("ghcr.io/m.m"),
		`image: {tag: v9}`:                                      func(d *appsv1.Deployment) { container(d).Image = "ghcr.io/mirrorset/mirrorset:v9" },
		`image: {tag: v9, digest: "sha256:` + digest + `"}`: func(d *appsv1.Deployment) {
			container(d).Image = "ghcr.io/mirrorset/mirrorset@sha256:" + digest
		},
		`image: {pullPolicy: Always}`: func(d *appsv1.Deployment) { container(d).ImagePullPolicy = corev1.PullAlways },
		`imagePullSecrets: [{name: s}, {name: t}]`: func(d *appsv1.Deployment) {
			pod(d).ImagePullSecrets = []corev1.LocalObjectReference{{Name: "s"}, {Name: "t"}}
		},
		`replicas: 2`: func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(2)) },
		`replicas: 0`: func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(0)) },
		`resources: null`: func(d *appsv1.Deployment) {
			container(d).Resources = corev1.ResourceRequirements{}
		},
		`{commonLabels: null, podLabels: null, podAnnotations: null}`: func(*appsv1.Deployment) {},
		`nodeSelector: {a: "1"}`:    func(d *appsv1.Deployment) { pod(d).NodeSelector["a"] = "1" },
		`tolerations: []`:           func(d *appsv1.Deployment) { pod(d).Tolerations = nil },
		`priorityClassName: ""`:     func(d *appsv1.Deployment) { pod(d).PriorityClassName = "" },
		`priorityClassName: "true"`: func(d *appsv1.Deployment) { pod(d).PriorityClassName = "true" },
		`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: k, operator: Exists}]}]}}}`: func(d *appsv1.Deployment) {
			pod(d).Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{Key: "k", Operator: corev1.NodeSelectorOpExists}}}},
			}}}
		},
		`insecureRegistries: ["*.a.example", "b.example:5000/c"]`: arguments("--insecure-registry=*.a.example", "--insecure-registry=b.example:5000/c"),
		`containersDir: /a`:                           arguments("--containers-dir=/a"),
		`containerdCertsDir: /a b`:                    arguments("--containerd-certs-dir=/a b"),
		`containerdConfig: /a`:                        arguments("--containerd-config=/a"),
		`redirectorPort: 1289`:                        arguments("--redirector-port=1289"),
		`allowDefaultHost: true`:                      arguments("--allow-default-host"),
		`crioReload: true`:                            arguments("--crio-reload"),
		`agent: {nodeSelector: {b: "true", a/b: ""}}`: arguments("--agent-node-selector=a/b=,b=true"),
		`agent: {tolerations: []}`:                    arguments("--agent-tolerations=[]"),
		`agent: {tolerations: [{key: a, effect: NoExecute, tolerationSeconds: 3000000}]}`: arguments(`--agent-tolerations=[{"effect":"NoExecute","key":"a","tolerationSeconds":3000000}]`),
		`agent: {resources: {}}`:                                                       arguments("--agent-resources={}"),
		`agent: {resources: {requests: {cpu: 2, memory: 1Gi}}}`:                        arguments(`--agent-resources={"requests":{"cpu":2,"memory":"1Gi"}}`),
		`agent: {priorityClassName: high}`:                                             arguments("--agent-priority-class-name=high"),
		`agent: {podAnnotations: {a.example/b: "c, d=e"}}`:                             arguments(`--agent-pod-annotations={"a.example/b":"c, d=e"}`),
		`agent: {podAnnotations: {a: "$(HOME) for 5$, $$"}}`:                           arguments(`--agent-pod-annotations={"a":"$$(HOME) for 5$$, $$$$"}`),
		`agent: {updateStrategy: {type: OnDelete}}`:                                    arguments(`--agent-update-strategy={"type":"OnDelete"}`),
		`agent: {updateStrategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 0}}}`:   arguments(`--agent-update-strategy={"rollingUpdate":{"maxSurge":2,"maxUnavailable":0}}`),
		`agent: {updateStrategy: {rollingUpdate: {maxUnavailable: "0%"}}}`:             arguments(`--agent-update-strategy={"rollingUpdate":{"maxUnavailable":"0%"}}`),
		`agent: {updateStrategy: {type: RollingUpdate}}`:                               arguments(`--agent-update-strategy={"type":"RollingUpdate"}`),
		`agent: {metrics: {enabled: true}}`:                                            arguments("--agent-metrics-bind-address=:290"),
		`logLevel: debug`:                                                              arguments("--zap-log-level=debug", "--agent-log-level=debug"),
		`logLevel: 5`:                                                                  arguments("--zap-log-level=5", "--agent-log-level=5"),
		`{extraArgs: [--metrics-bind-address=0, "--namespace=a b"], crioReload: true}`: arguments("--crio-reload", "--metrics-bind-address=0", "--namespace=a b"),
		`extraEnv: [{name: A, value: "true"}, {name: B, valueFrom: {secretKeyRef: {name: s, key: k}}}]`: func(d *appsv1.Deployment) {
			container(d).Env = append(container(d).Env, corev1.EnvVar{Name: "A", Value: "true"}, corev1.EnvVar{Name: "B", ValueFrom: &corev1.EnvVarSource{
				SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"},
			}})
		},
		`podLabels: {a: b}`: func(d *appsv1.Deployment) { d.Spec.Template.Labels["a"] = "b" },
		`{commonLabels: {a: b, c: d}, podLabels: {a: "1"}}`: func(d *appsv1.Deployment) {
			d.Labels["a"], d.Labels["c"], d.Spec.Template.Labels["a"], d.Spec.Template.Labels["c"] = "b", "d", "1", "d"
		},
		`podAnnotations: {a: "true", b: ""}`: func(d *appsv1.Deployment) {
			d.Spec.Template.Annotations["a"], d.Spec.Template.Annotations["b"] = "true", ""
		},
		`podAnnotations: {kubectl.kubernetes.io/default-container: sidecar}`: func(d *appsv1.Deployment) {
			d.Spec.Template.Annotations["kubectl.kubernetes.io/default-container"] = "sidecar"
		},
		`{nameOverride: mirrorset, fullnameOverride: mirrorset}`: func(*appsv1.Deployment) {},
		`serviceAccount: {name: a, annotations: {b: c}}`:         func(d *appsv1.Deployment) { pod(d).ServiceAccountName = "a" },
		`topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway}]`: func(d *appsv1.Deployment) {
			pod(d).TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "a", WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: d.Spec.Selector}}
		},
		`topologySpreadConstraints: [{maxSkew: 2, topologyKey: a, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {b: c}}}]`: func(d *appsv1.Deployment) {
			pod(d).TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 2, TopologyKey: "a", WhenUnsatisfiable: corev1.DoNotSchedule,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"b": "c"}}}}
		},
		`canary: {selector: "pool in (a, b),!c", soak: 1h30m}`: arguments("--canary-selector=pool in (a, b),!c", "--canary-soak=1h30m"),
		`canary: {selector: "", soak: ""}`:                     func(*appsv1.Deployment) {},
		`serviceMonitor: {enabled: true}`:                      arguments("--agent-metrics-bind-address=:290"),
		`proxy: {httpProxy: "http://p", httpsProxy: "http://q", noProxy: "a,.b"}`: func(d *appsv1.Deployment) {
			container(d).Env = append(container(d).Env, corev1.EnvVar{Name: "HTTP_PROXY", Value: "http://p"}, corev1.EnvVar{Name: "HTTPS_PROXY", Value: "http://q"},
				corev1.EnvVar{Name: "NO_PROXY", Value: "$(KUBERNETES_SERVICE_HOST),a,.b"})
		},
		`proxy: {httpsProxy: "http://q"}`: func(d *appsv1.Deployment) {
			container(d).Env = append(container(d).Env, corev1.EnvVar{Name: "HTTPS_PROXY", Value: "http://q"}, corev1.EnvVar{Name: "NO_PROXY", Value: "$(KUBERNETES_SERVICE_HOST)"})
		},
		`proxy: {noProxy: a}`:   func(*appsv1.Deployment) {},
		`global: {some: thing}`: func(*appsv1.Deployment) {}, // what a chart has that this one is a part of
	} {
		t.Run(values, func(t *testing.T) {
			eachHelm(t, func(t *testing.T, h helm) {
				want := typed[appsv1.Deployment](t, h.installs(t, "n", ""), deployment)
				change(&want)
				if diff := cmp.Diff(want, typed[appsv1.Deployment](t, h.installs(t, "n", values), deployment)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

const digest = "4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"

func pod(d *appsv1.Deployment) *corev1.PodSpec         { return &d.Spec.Template.Spec }
func container(d *appsv1.Deployment) *corev1.Container { return &pod(d).Containers[0] }

func image(name string) func(d *appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		container(d).Image = name + strings.TrimPrefix(container(d).Image, "ghcr.io/mirrorset/mirrorset")
	}
}

func arguments(more ...string) func(d *appsv1.Deployment) {
	return func(d *appsv1.Deployment) { container(d).Args = append(container(d).Args, more...) }
}

// TestSwitches wants the objects that each switch brings or takes.
func TestSwitches(t *testing.T) {
	scraping := []string{
		"ClusterRoleBinding/mirrorset-agent-metrics-auth", "ClusterRoleBinding/mirrorset-prometheus", "PodMonitor/mirrorset-agent",
		"Secret/mirrorset-prometheus", "ServiceAccount/mirrorset-prometheus", "ServiceMonitor/mirrorset-manager",
	}
	for values, test := range map[string]struct{ more, fewer []string }{
		`pdb: {enabled: true}`:                                                 {more: []string{"PodDisruptionBudget/mirrorset-manager"}},
		`serviceAccount: {create: false, name: a}`:                             {fewer: []string{"ServiceAccount/mirrorset-manager"}},
		`networkPolicy: {enabled: false}`:                                      {fewer: []string{"NetworkPolicy/mirrorset-manager"}},
		`agent: {metrics: {enabled: true}}`:                                    {more: []string{"ClusterRoleBinding/mirrorset-agent-metrics-auth"}},
		`serviceMonitor: {enabled: true}`:                                      {more: scraping},
		`{serviceMonitor: {enabled: true}, agent: {metrics: {enabled: true}}}`: {more: scraping},
		`prometheusRule: {enabled: true}`:                                      {more: []string{"PrometheusRule/mirrorset"}},
		`dashboard: {enabled: true}`:                                           {more: []string{"ConfigMap/mirrorset-dashboard"}},
		`{serviceMonitor: {labels: {a: b}}, prometheusRule: {labels: {a: b}}}`: {},
	} {
		t.Run(values, func(t *testing.T) {
			eachHelm(t, func(t *testing.T, h helm) {
				want := h.installs(t, "n", "")
				for _, key := range test.fewer {
					if want[key] == nil {
						t.Errorf("%s is not there without the switch", key)
					}
					delete(want, key)
				}
				for _, key := range test.more {
					want[key] = nil
				}
				got := h.installs(t, "n", values)
				if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestMonitorsAndRulesGetTheLabelsThatPrometheusSelectsBy(t *testing.T) {
	eachHelm(t, func(t *testing.T, h helm) {
		all := h.installs(t, "n", `{serviceMonitor: {enabled: true, labels: {release: m}}, prometheusRule: {enabled: true, labels: {release: r}}}`)
		got := map[string]any{}
		for key, object := range all {
			if label := object["metadata"].(map[string]any)["labels"].(map[string]any)["release"]; label != nil {
				got[key] = label
			}
		}
		want := map[string]any{"ServiceMonitor/mirrorset-manager": "m", "PodMonitor/mirrorset-agent": "m", "PrometheusRule/mirrorset": "r"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheChartIsOfTheVersionThatItInstalls(t *testing.T) {
	if m := load3(t).Metadata; "v"+m.Version != m.AppVersion {
		t.Errorf("the chart is %s, and installs %s", m.Version, m.AppVersion)
	}
}

func TestHelmsLinterHasNothingToSay(t *testing.T) {
	for _, values := range []string{"", "{serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}, pdb: {enabled: true}}"} {
		var parsed map[string]any
		if err := yaml.Unmarshal([]byte(values), &parsed); err != nil {
			t.Fatal(err)
		}
		lint := action.NewLint()
		lint.Strict, lint.Namespace = true, "n"
		result := lint.Run([]string{chartPath}, parsed)
		if result.TotalChartsLinted != 1 || action.HasWarningsOrErrors(result) {
			t.Errorf("%q: %d charts, %v, %v", values, result.TotalChartsLinted, result.Messages, result.Errors)
		}
	}
}
