// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// TestWrongValues expects an error that names the value.
func TestWrongValues(t *testing.T) {
	for values, want := range map[string][2]string{ // the value, in the words of Helm 4; and what is wrong
		`replica: 2`:              {"", "'replica' not allowed"},
		`image: {tga: v1}`:        {"/image", "'tga' not allowed"},
		`image: {repository: ""}`: {"/image/repository", "pattern"},
		`image: {repository: "r.example:5000/a:v1"}`:              {"/image/repository", "pattern"},
		`image: {repository: null}`:                               {"/image", "'repository'"},
		`image: {repository: "foo bar"}`:                          {"/image/repository", "pattern"},
		`image: {tag: 1.1}`:                                       {"/image/tag", "want string"},
		`image: {tag: "a b"}`:                                     {"/image/tag", "pattern"},
		`image: {digest: 4032c6}`:                                 {"/image/digest", "pattern"},
		`image: {pullPolicy: Sometimes}`:                          {"/image/pullPolicy", "must be one of"},
		`image: {registry: "https://r.example"}`:                  {"/image/registry", "pattern"},
		`image: {registry: r.example/}`:                           {"/image/registry", "pattern"},
		`image: {pullSecrets: []}`:                                {"/image", "'pullSecrets' not allowed"},
		`imagePullSecrets: [secret]`:                              {"/imagePullSecrets/0", "want object"},
		`imagePullSecrets: [{}]`:                                  {"/imagePullSecrets/0", "'name'"},
		`commonLabels: {a: 1}`:                                    {"/commonLabels/a", "want string"},
		`podLabels: {"a b": c}`:                                   {"/podLabels", "'a b' not allowed"},
		`podAnnotations: {a: 1}`:                                  {"/podAnnotations/a", "want string"},
		`extraArgs: [a]`:                                          {"/extraArgs/0", "pattern"},
		`extraArgs: --a`:                                          {"/extraArgs", "want array"},
		`extraEnv: [{value: a}]`:                                  {"/extraEnv/0", "'name'"},
		`extraEnv: [{name: a, val: b}]`:                           {"/extraEnv/0", "'val' not allowed"},
		`extraEnv: [{name: a, value: 1}]`:                         {"/extraEnv/0/value", "want string"},
		`logLevel: trace`:                                         {"/logLevel", "pattern"},
		`logLevel: "128"`:                                         {"/logLevel", "pattern"},
		`logLevel: 0`:                                             {"/logLevel", "minimum"},
		`serviceAccount: {name: A}`:                               {"/serviceAccount/name", "pattern"},
		`serviceAccount: {create: "no"}`:                          {"/serviceAccount/create", "want boolean"},
		`topologySpreadConstraints: [{maxSkew: 1}]`:               {"/topologySpreadConstraints/0", "'topologyKey'"},
		`pdb: {minAvailable: half}`:                               {"/pdb/minAvailable", "pattern"},
		`pdb: {maxUnavailable: 101%}`:                             {"/pdb/maxUnavailable", "pattern"},
		`replicas: null`:                                          {"", "missing property 'replicas'"},
		`networkPolicy: null`:                                     {"", "missing property 'networkPolicy'"},
		`serviceMonitor: null`:                                    {"", "missing property 'serviceMonitor'"},
		`agent: {nodeSelector: {"bad key": x}}`:                   {"/agent/nodeSelector", "'bad key' not allowed"},
		`agent: {nodeSelector: {a: "x,y=z"}}`:                     {"/agent/nodeSelector/a", "pattern"},
		`replicas: -1`:                                            {"/replicas", "minimum"},
		`resources: 1Gi`:                                          {"/resources", "want object"},
		`nodeSelector: {a: true}`:                                 {"/nodeSelector/a", "want string"},
		`tolerations: [{operater: Exists}]`:                       {"/tolerations/0", "'operater' not allowed"},
		`affinity: []`:                                            {"/affinity", "want object"},
		`priorityClassName: High`:                                 {"/priorityClassName", "pattern"},
		`agent: {resources: {requests: {gpu: 1}}}`:                {"/agent/resources/requests", "'gpu' not allowed"},
		`priorityClassName: 1`:                                    {"/priorityClassName", "want string"},
		`insecureRegistries: ["https://a.example"]`:               {"/insecureRegistries/0", "pattern"},
		`insecureRegistries: a.example`:                           {"/insecureRegistries", "want array"},
		`containersDir: etc`:                                      {"/containersDir", "pattern"},
		`containerdCertsDir: certs.d`:                             {"/containerdCertsDir", "pattern"},
		`containersDir: /etc/../containers`:                       {"/containersDir", "not"},
		`containerdConfig: config.toml`:                           {"/containerdConfig", "pattern"},
		`redirectorPort: 0`:                                       {"/redirectorPort", "minimum"},
		`redirectorPort: 65536`:                                   {"/redirectorPort", "maximum"},
		`redirectorPort: "289"`:                                   {"/redirectorPort", "want null or integer"},
		`allowDefaultHost: "true"`:                                {"/allowDefaultHost", "want boolean"},
		`crioReload: 1`:                                           {"/crioReload", "want boolean"},
		`agent: {nodeSelector: a=b}`:                              {"/agent/nodeSelector", "want object"},
		`agent: {tolerations: [{effect: NoRun}]}`:                 {"/agent/tolerations/0/effect", "must be one of"},
		`canary: null`:                                            {"", "missing property 'canary'"},
		`canary: {nodes: a}`:                                      {"/canary", "'nodes' not allowed"},
		`canary: {selector: {a: b}, soak: 5m}`:                    {"/canary/selector", "want string"},
		`canary: {selector: a, soak: 5}`:                          {"/canary/soak", "want string"},
		`canary: {selector: a, soak: 5 minutes}`:                  {"/canary/soak", "pattern"},
		`proxy: {https: "http://p"}`:                              {"/proxy", "'https' not allowed"},
		`proxy: {noProxy: [a]}`:                                   {"/proxy/noProxy", "want string"},
		`networkPolicy: false`:                                    {"/networkPolicy", "want object"},
		`agent: {metrics: {port: 1}}`:                             {"/agent/metrics", "'port' not allowed"},
		`serviceMonitor: {enabled: "no"}`:                         {"/serviceMonitor/enabled", "want boolean"},
		`agentTolerations: []`:                                    {"", "'agentTolerations' not allowed"},
		`agent: null`:                                             {"", "missing property 'agent'"},
		`agent: {image: a}`:                                       {"/agent", "'image' not allowed"},
		`agent: {resources: {claims: []}}`:                        {"/agent/resources", "'claims' not allowed"},
		`agent: {resources: {limits: {cpu: much}}}`:               {"/agent/resources/limits/cpu", "pattern"},
		`agent: {priorityClassName: High}`:                        {"/agent/priorityClassName", "pattern"},
		`agent: {podAnnotations: {a: 1}}`:                         {"/agent/podAnnotations/a", "want string"},
		`agent: {updateStrategy: {type: Recreate}}`:               {"/agent/updateStrategy/type", "must be one of"},
		`agent: {updateStrategy: {rollingUpdate: {maxSurge: 0}}}`: {"/agent/updateStrategy/rollingUpdate/maxSurge", "minimum"},
		`serviceMonitor: {interval: 30}`:                          {"/serviceMonitor/interval", "want string"},
		`serviceMonitor: {interval: 30 s}`:                        {"/serviceMonitor/interval", "pattern"},
		`serviceMonitor: {labels: {a: 1}}`:                        {"/serviceMonitor/labels/a", "want string"},
		`prometheusRule: {label: {}}`:                             {"/prometheusRule", "'label' not allowed"},
		`dashboard: {labels: {}}`:                                 {"/dashboard", "'labels' not allowed"},
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
