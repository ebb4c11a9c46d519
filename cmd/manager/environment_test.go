// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// parse returns the settings that a command line and an environment come to.
func parse(t *testing.T, args, environment []string) (settings, error) {
	t.Helper()
	var s settings
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Bool("version", false, "")
	s.flags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(flags, environment); err != nil {
		return s, err
	}
	return s, s.check()
}

func selector(t *testing.T, text string) k8slabels.Selector {
	t.Helper()
	parsed, err := k8slabels.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestTheEnvironmentSetsEachSetting(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "elsewhere")
	got, err := parse(t, nil, []string{
		"MIRRORSET_NAMESPACE=n", "MIRRORSET_INSECURE_REGISTRY=*.a.example,b.example:5000/c", "MIRRORSET_LEADER_ELECT=false",
		"MIRRORSET_HEALTH_PROBE_BIND_ADDRESS=0", "MIRRORSET_METRICS_BIND_ADDRESS=:1", "MIRRORSET_CONTAINERS_DIR=/a", "MIRRORSET_CONTAINERD_CERTS_DIR=/b",
		"MIRRORSET_CONTAINERD_CONFIG=/c", "MIRRORSET_REDIRECTOR_PORT=290", "MIRRORSET_ALLOW_DEFAULT_HOST=true", "MIRRORSET_CRIO_RELOAD=1",
		"MIRRORSET_AGENT_METRICS_BIND_ADDRESS=:291", "MIRRORSET_AGENT_NODE_SELECTOR=d=e", `MIRRORSET_AGENT_TOLERATIONS=[{"key": "k"}]`, "OTHER=x",
		"MIRRORSET_CANARY_SELECTOR=pool in (a, b),!c", "MIRRORSET_CANARY_SOAK=1h30m",
		"MIRRORSET_AGENT_LOG_LEVEL=debug", `MIRRORSET_AGENT_POD_ANNOTATIONS={"f.example/g": "h"}`, "MIRRORSET_AGENT_PRIORITY_CLASS_NAME=i",
		`MIRRORSET_AGENT_RESOURCES={"requests": {"cpu": "1m"}}`, `MIRRORSET_AGENT_UPDATE_STRATEGY={"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}`,
	})
	want := settings{
		namespace: "n", insecure: mirrors.Scopes{"*.a.example", "b.example:5000/c"}, probeAddress: "0", metricsAddress: ":1",
		agent: operand.AgentSettings{
			ContainersDir: "/a", CertsDir: "/b", ContainerdConfig: "/c", RedirectorPort: 290, AllowDefaultHost: true, ReloadCRIO: true,
			MetricsAddress: ":291", NodeSelector: map[string]string{"d": "e"}, Tolerations: []corev1.Toleration{{Key: "k"}},
			LogLevel: "debug", PodAnnotations: map[string]string{"f.example/g": "h"}, PriorityClassName: "i",
			Resources: &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m")}},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: new(intstr.FromInt32(2)), MaxUnavailable: new(intstr.FromInt32(0))},
			},
		},
		canaries: selector(t, "pool in (a, b),!c"), soak: 90 * time.Minute,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the settings are %+v, error %v; want %+v", got, err, want)
	}
}

func TestWhatIsGivenWinsOverTheEnvironment(t *testing.T) {
	got, err := parse(t, []string{"--insecure-registry=a", "--insecure-registry=b,c", "--redirector-port=290"},
		[]string{"MIRRORSET_INSECURE_REGISTRY=d", "MIRRORSET_REDIRECTOR_PORT=291", "MIRRORSET_CONTAINERS_DIR="})
	if err != nil || !reflect.DeepEqual(got.insecure, mirrors.Scopes{"a", "b", "c"}) || got.agent.RedirectorPort != 290 || got.agent.ContainersDir != "/etc/containers" {
		t.Errorf("the settings are %+v, error %v; want what is given, and the default where a variable is empty", got, err)
	}
}

func TestAVariableThatIsNoSettingIsRefused(t *testing.T) {
	for variable, want := range map[string]string{
		"MIRRORSET_INSECURE_REGISTRY=a,http://b":         `MIRRORSET_INSECURE_REGISTRY="a,http://b": scope "http://b" is invalid; write host[:port][/path] or *.host`,
		"MIRRORSET_AGENT_RESOURCES=null":                 `, and not "null"; leave the flag out for the default`,
		"MIRRORSET_AGENT_TOLERATIONS=null":               `, and not "null"; leave the flag out for the default`,
		"MIRRORSET_INSECURE_REGISTRY=a, b":               `scope " b" is invalid; write host`,
		"MIRRORSET_LEADER_ELECT=yes":                     `MIRRORSET_LEADER_ELECT="yes": want true or false`,
		"MIRRORSET_METRICS_BIND_ADDRESS=8443":            `MIRRORSET_METRICS_BIND_ADDRESS="8443": want host:port, :port or 0: `,
		"MIRRORSET_METRICS_BIND_ADDRESS=:http":           `MIRRORSET_METRICS_BIND_ADDRESS=":http": want host:port, :port or 0: `,
		"MIRRORSET_AGENT_METRICS_BIND_ADDRESS=a:65536":   `want host:port, :port or 0: `,
		"MIRRORSET_CONTAINERS_DIR=etc/containers":        `MIRRORSET_CONTAINERS_DIR="etc/containers": want an absolute path, and no .. in it`,
		"MIRRORSET_CONTAINERD_CERTS_DIR=/etc/../certs.d": `MIRRORSET_CONTAINERD_CERTS_DIR="/etc/../certs.d": want an absolute path`,
		"MIRRORSET_CONTAINERD_CONFIG=config.toml":        `want an absolute path`,
		"MIRRORSET_REDIRECTOR_PORT=0":                    `MIRRORSET_REDIRECTOR_PORT="0": want a port, from 1 to 65535`,
		"MIRRORSET_REDIRECTOR_PORT=65536":                "want a port",
		"MIRRORSET_AGENT_NODE_SELECTOR=a":                `MIRRORSET_AGENT_NODE_SELECTOR="a": want key=value,...: `,
		`MIRRORSET_AGENT_TOLERATIONS=[{"kye": 1}]`:       `want a list as [{"key": "k", "operator": "Exists"}]: `,
		"MIRRORSET_CANARY_SELECTOR=a in b":               `MIRRORSET_CANARY_SELECTOR="a in b": want labels of Nodes, as kubectl get nodes --selector takes them: `,
		"MIRRORSET_CANARY_SELECTOR= ":                    `without any, every node is a canary`,
		"MIRRORSET_CANARY_SOAK=5":                        `MIRRORSET_CANARY_SOAK="5": want a duration from 1s to 12h, as in 5m or 1h30m`,
		"MIRRORSET_CANARY_SOAK=999ms":                    "want a duration from 1s to 12h",
		"MIRRORSET_CANARY_SOAK=12h1s":                    "want a duration from 1s to 12h",
		"MIRRORSET_CANARY_SOAK=-5m":                      "want a duration from 1s to 12h",
		"MIRRORSET_INSECURE_REGISTRIES=a":                `MIRRORSET_INSECURE_REGISTRIES="a": this setting does not exist; manager --help lists the flags`,
		"MIRRORSET_METRICS_SERVICE_HOST=10.0.0.1":        "set enableServiceLinks: false in the Pod",
		"MIRRORSET_VERSION=v0.1.0":                       `MIRRORSET_VERSION="v0.1.0": this setting does not exist`,
		"MIRRORSET_crio_reload=true":                     `MIRRORSET_crio_reload="true": this setting does not exist`,
	} {
		if _, err := parse(t, nil, []string{variable}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v; want one with %s", variable, err, want)
		}
	}
	_, err := parse(t, nil, []string{"MIRRORSET_REDIRECTOR_PORT=a", "MIRRORSET_CRIO_RELOAD=b"})
	if err == nil || !strings.Contains(err.Error(), "_PORT=") || !strings.Contains(err.Error(), "_RELOAD=") {
		t.Errorf("of two bad variables, the error is %v; want one about both", err)
	}
}

func TestUpdatesThatKeepAnAgentOnEachNodeAreTaken(t *testing.T) {
	for _, text := range []string{`{}`, `{"type": "RollingUpdate"}`, `{"type": "OnDelete"}`, `{"rollingUpdate": {}}`, `{"rollingUpdate": {"maxSurge": 1}}`,
		`{"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "0%"}}`} {
		if _, err := parse(t, []string{"--agent-update-strategy=" + text}, nil); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCanariesAreSelectedForATimeOrThereAreNone(t *testing.T) {
	for _, c := range []struct {
		args, environment []string
		want              string // of the error; empty where there is none
	}{
		{args: nil},
		{args: []string{"--canary-selector=a=b", "--canary-soak=1s"}},
		{args: []string{"--canary-selector=a", "--canary-soak=12h"}},
		{args: []string{"--canary-selector=a!=b"}, environment: []string{"MIRRORSET_CANARY_SOAK=5m"}},
		{environment: []string{"MIRRORSET_CANARY_SELECTOR=", "MIRRORSET_CANARY_SOAK="}},
		{args: []string{"--canary-selector=a"}, want: "--canary-selector without --canary-soak: "},
		{args: []string{"--canary-selector=a"}, want: "or the variable MIRRORSET_CANARY_SOAK)"},
		{environment: []string{"MIRRORSET_CANARY_SELECTOR=a", "MIRRORSET_CANARY_SOAK="}, want: "--canary-selector without --canary-soak: "},
		{args: []string{"--canary-soak=5m"}, want: "--canary-soak without --canary-selector: "},
		{environment: []string{"MIRRORSET_CANARY_SOAK=5m"}, want: "or the variable MIRRORSET_CANARY_SELECTOR)"},
	} {
		got, err := parse(t, c.args, c.environment)
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q %q: the error is %v; want one with %s", c.args, c.environment, err, c.want)
			}
		case err != nil || (got.canaries == nil) != (got.soak == 0):
			t.Errorf("%q %q: the settings are %+v, error %v", c.args, c.environment, got, err)
		}
	}
}
