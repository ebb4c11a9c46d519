// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/action"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const deployment = "Deployment/mirrorset-manager"

// TestValues changes one value after the other, and wants what that changes of the Deployment and nothing else of it.
func TestValues(t *testing.T) {
	for values, change := range map[string]func(d *appsv1.Deployment){
		`image: {repository: r.example/m}`: func(d *appsv1.Deployment) {
			_, tag, _ := strings.Cut(container(d).Image, ":")
			container(d).Image = "r.example/m:" + tag
		},
		`image: {tag: v9}`: func(d *appsv1.Deployment) { container(d).Image = "ghcr.io/mirrorset/mirrorset:v9" },
		`image: {tag: v9, digest: "sha256:` + digest + `"}`: func(d *appsv1.Deployment) {
			container(d).Image = "ghcr.io/mirrorset/mirrorset@sha256:" + digest
		},
		`image: {pullPolicy: Always}`: func(d *appsv1.Deployment) { container(d).ImagePullPolicy = corev1.PullAlways },
		`image: {pullSecrets: [{name: s}, {name: t}]}`: func(d *appsv1.Deployment) {
			pod(d).ImagePullSecrets = []corev1.LocalObjectReference{{Name: "s"}, {Name: "t"}}
		},
		`replicas: 2`: func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(2)) },
		`replicas: 0`: func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(0)) },
		`resources: null`: func(d *appsv1.Deployment) {
			container(d).Resources = corev1.ResourceRequirements{}
		},
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
		`containersDir: /a`:                       arguments("--containers-dir=/a"),
		`containerdCertsDir: /a b`:                arguments("--containerd-certs-dir=/a b"),
		`containerdConfig: /a`:                    arguments("--containerd-config=/a"),
		`redirectorPort: 1289`:                    arguments("--redirector-port=1289"),
		`allowDefaultHost: true`:                  arguments("--allow-default-host"),
		`crioReload: true`:                        arguments("--crio-reload"),
		`agentNodeSelector: {b: "true", a/b: ""}`: arguments("--agent-node-selector=a/b=,b=true"),
		`agentTolerations: []`:                    arguments("--agent-tolerations=[]"),
		`agentTolerations: [{key: a, effect: NoExecute, tolerationSeconds: 3000000}]`: arguments(`--agent-tolerations=[{"effect":"NoExecute","key":"a","tolerationSeconds":3000000}]`),
		`canary: {selector: "pool in (a, b),!c", soak: 1h30m}`:                        arguments("--canary-selector=pool in (a, b),!c", "--canary-soak=1h30m"),
		`canary: {selector: "", soak: ""}`:                                            func(*appsv1.Deployment) {},
		`agentMetrics: {enabled: true}`:                                               arguments("--agent-metrics-bind-address=:290"),
		`serviceMonitor: {enabled: true}`:                                             arguments("--agent-metrics-bind-address=:290"),
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
		`networkPolicy: {enabled: false}`:                                      {fewer: []string{"NetworkPolicy/mirrorset-manager"}},
		`agentMetrics: {enabled: true}`:                                        {more: []string{"ClusterRoleBinding/mirrorset-agent-metrics-auth"}},
		`serviceMonitor: {enabled: true}`:                                      {more: scraping},
		`{serviceMonitor: {enabled: true}, agentMetrics: {enabled: true}}`:     {more: scraping},
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

// TestWrongValues wants an error that names the value.
func TestWrongValues(t *testing.T) {
	for values, want := range map[string][2]string{ // the value, in the words of Helm 4; and what is wrong
		`replica: 2`:              {"", "'replica' not allowed"},
		`image: {tga: v1}`:        {"/image", "'tga' not allowed"},
		`image: {repository: ""}`: {"/image/repository", "pattern"},
		`image: {repository: "r.example:5000/a:v1"}`: {"/image/repository", "pattern"},
		`image: {repository: null}`:                  {"/image", "'repository'"},
		`image: {repository: "foo bar"}`:             {"/image/repository", "pattern"},
		`image: {tag: 1.1}`:                          {"/image/tag", "want string"},
		`image: {tag: "a b"}`:                        {"/image/tag", "pattern"},
		`image: {digest: 4032c6}`:                    {"/image/digest", "pattern"},
		`image: {pullPolicy: Sometimes}`:             {"/image/pullPolicy", "must be one of"},
		`image: {pullSecrets: [secret]}`:             {"/image/pullSecrets/0", "want object"},
		`image: {pullSecrets: [{}]}`:                 {"/image/pullSecrets/0", "'name'"},
		`replicas: null`:                             {"", "missing property 'replicas'"},
		`networkPolicy: null`:                        {"", "missing property 'networkPolicy'"},
		`serviceMonitor: null`:                       {"", "missing property 'serviceMonitor'"},
		`agentNodeSelector: {"bad key": x}`:          {"/agentNodeSelector", "'bad key' not allowed"},
		`agentNodeSelector: {a: "x,y=z"}`:            {"/agentNodeSelector/a", "pattern"},
		`replicas: -1`:                               {"/replicas", "minimum"},
		`resources: 1Gi`:                             {"/resources", "want object"},
		`nodeSelector: {a: true}`:                    {"/nodeSelector/a", "want string"},
		`tolerations: [{operater: Exists}]`:          {"/tolerations/0", "'operater' not allowed"},
		`affinity: []`:                               {"/affinity", "want object"},
		`priorityClassName: 1`:                       {"/priorityClassName", "want string"},
		`insecureRegistries: ["https://a.example"]`:  {"/insecureRegistries/0", "pattern"},
		`insecureRegistries: a.example`:              {"/insecureRegistries", "want array"},
		`containersDir: etc`:                         {"/containersDir", "pattern"},
		`containerdCertsDir: certs.d`:                {"/containerdCertsDir", "pattern"},
		`containersDir: /etc/../containers`:          {"/containersDir", "not"},
		`containerdConfig: config.toml`:              {"/containerdConfig", "pattern"},
		`redirectorPort: 0`:                          {"/redirectorPort", "minimum"},
		`redirectorPort: 65536`:                      {"/redirectorPort", "maximum"},
		`redirectorPort: "289"`:                      {"/redirectorPort", "want null or integer"},
		`allowDefaultHost: "true"`:                   {"/allowDefaultHost", "want boolean"},
		`crioReload: 1`:                              {"/crioReload", "want boolean"},
		`agentNodeSelector: a=b`:                     {"/agentNodeSelector", "want object"},
		`agentTolerations: [{effect: NoRun}]`:        {"/agentTolerations/0/effect", "must be one of"},
		`canary: null`:                               {"", "missing property 'canary'"},
		`canary: {nodes: a}`:                         {"/canary", "'nodes' not allowed"},
		`canary: {selector: {a: b}, soak: 5m}`:       {"/canary/selector", "want string"},
		`canary: {selector: a, soak: 5}`:             {"/canary/soak", "want string"},
		`canary: {selector: a, soak: 5 minutes}`:     {"/canary/soak", "pattern"},
		`proxy: {https: "http://p"}`:                 {"/proxy", "'https' not allowed"},
		`proxy: {noProxy: [a]}`:                      {"/proxy/noProxy", "want string"},
		`networkPolicy: false`:                       {"/networkPolicy", "want object"},
		`agentMetrics: {port: 1}`:                    {"/agentMetrics", "'port' not allowed"},
		`serviceMonitor: {enabled: "no"}`:            {"/serviceMonitor/enabled", "want boolean"},
		`serviceMonitor: {labels: {a: 1}}`:           {"/serviceMonitor/labels/a", "want string"},
		`prometheusRule: {label: {}}`:                {"/prometheusRule", "'label' not allowed"},
		`dashboard: {labels: {}}`:                    {"/dashboard", "'labels' not allowed"},
	} {
		t.Run(values, func(t *testing.T) {
			eachHelm(t, func(t *testing.T, h helm) {
				_, err := h("n", values)
				if err == nil {
					t.Fatal("it is taken")
				}
				for _, part := range []string{"at '" + want[0] + "'", want[1]} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q is not in: %v", part, err)
					}
				}
			})
		})
	}
}

func TestCanariesAreSelectedForATimeOrThereAreNone(t *testing.T) {
	for _, values := range []string{`canary: {selector: a}`, `canary: {soak: 5m}`} {
		t.Run(values, func(t *testing.T) {
			eachHelm(t, func(t *testing.T, h helm) {
				if _, err := h("n", values); err == nil || !strings.Contains(err.Error(), "canary.selector and canary.soak: ") {
					t.Errorf("the error is %v; want one that names both values", err)
				}
			})
		})
	}
}

// TestTheSchemaAndTheValuesAreOfTheSameThings wants no value that the schema does not know, and none that only it knows.
func TestTheSchemaAndTheValuesAreOfTheSameThings(t *testing.T) {
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	loaded := load3(t)
	if err := json.Unmarshal(loaded.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema.Properties, "global")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(loaded.Values)), slices.Sorted(maps.Keys(schema.Properties))); diff != "" {
		t.Error(diff)
	}
}

func TestInsecureRegistriesAreWrittenAsSourcesAre(t *testing.T) {
	text, err := os.ReadFile(root + "config/crd/bases/config.openshift.io_imagedigestmirrorsets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		t.Fatal(err)
	}
	entry := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["imageDigestMirrors"].Items.Schema
	want := entry.Properties["source"].Pattern
	var schema struct {
		Properties struct {
			InsecureRegistries struct {
				Items struct {
					Pattern string `json:"pattern"`
				} `json:"items"`
			} `json:"insecureRegistries"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(load3(t).Schema, &schema); err != nil {
		t.Fatal(err)
	}
	if got := schema.Properties.InsecureRegistries.Items.Pattern; got != want || want == "" {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheChartIsOfTheVersionThatItInstalls(t *testing.T) {
	if m := load3(t).Metadata; "v"+m.Version != m.AppVersion {
		t.Errorf("the chart is %s, and installs %s", m.Version, m.AppVersion)
	}
}

func TestHelmsLinterHasNothingToSay(t *testing.T) {
	for _, values := range []string{"", "{serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}"} {
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
