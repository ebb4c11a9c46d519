// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package operand

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// optOutLabel keeps agents off a node; its value for that is "disabled".
const optOutLabel = "mirrorset.io/agent"

// AgentSettings are what an administrator may choose about the agents.
type AgentSettings struct {
	// Image is the agent's; where it is empty, that of the manager's Deployment.
	Image string
	// NodeSelector narrows the nodes, as for a canary.
	NodeSelector map[string]string
	// Tolerations determine which tainted nodes get an agent.
	Tolerations []corev1.Toleration
	// ContainersDir is the host's folder of containers/image, /etc/containers on every known distribution.
	ContainersDir string
	// CertsDir is the host's folder that containerd's config_path names.
	CertsDir string
	// ContainerdConfig is containerd's configuration file on the host.
	ContainerdConfig string
	// RedirectorPort is the one of 127.0.0.1 on which containerd finds the redirector.
	RedirectorPort int
	// AllowDefaultHost lets blocked wildcards be put in force for containerd.
	AllowDefaultHost bool
	// ReloadCRIO has CRI-O told of each change by a signal, for which the agents join the host's PID namespace.
	ReloadCRIO bool
	// MetricsAddress is where each agent serves its metrics, host:port, without a host at its node's own address; 0 or nothing
	// for nowhere.
	MetricsAddress string
	// LogLevel is how much the agents log, as their --zap-log-level takes it; empty for their default.
	LogLevel string
	// PodAnnotations are added to those of the agents' Pods.
	PodAnnotations map[string]string
	// PriorityClassName is that of the agents' Pods; empty for the manifest's.
	PriorityClassName string
	// Resources are those of each agent; nil for the manifest's.
	Resources *corev1.ResourceRequirements
	// UpdateStrategy is how new agents replace old ones. Fields that are not set stay as in the manifest.
	UpdateStrategy appsv1.DaemonSetUpdateStrategy
	// Proxy are the environment variables for the proxy that registries are reached through.
	Proxy []corev1.EnvVar
}

// arguments are those that the manifest does not have.
func (s AgentSettings) arguments() []string {
	arguments := []string{
		"--containerd-certs-dir=" + s.CertsDir,
		"--containerd-config=" + s.ContainerdConfig,
		fmt.Sprintf("--redirector-port=%d", s.RedirectorPort),
		fmt.Sprintf("--allow-default-host=%t", s.AllowDefaultHost),
		fmt.Sprintf("--crio-reload=%t", s.ReloadCRIO),
	}
	if s.MetricsAddress != "" && s.MetricsAddress != "0" {
		arguments = append(arguments, "--metrics-bind-address="+s.MetricsAddress)
	}
	if s.LogLevel != "" {
		arguments = append(arguments, "--zap-log-level="+s.LogLevel)
	}
	return arguments
}

// runningDir is the folder in which the host's containerd keeps the state of each container of a Pod. The path of the
// configuration file shows which distribution the folder belongs to.
func (s AgentSettings) runningDir() string {
	run := "/run/containerd"
	switch {
	case strings.Contains(s.ContainerdConfig, "/k3s/agent/"), strings.Contains(s.ContainerdConfig, "/rke2/agent/"):
		run = "/run/k3s/containerd"
	case strings.Contains(s.ContainerdConfig, "/k0s/"):
		run = "/run/k0s/containerd"
	case strings.Contains(s.ContainerdConfig, "/microk8s/"):
		run = "/var/snap/microk8s/common/run/containerd"
	}
	return run + "/io.containerd.runtime.v2.task/k8s.io"
}

// Counts reports whether a node is one of those that the agents' DaemonSet selects.
func (s AgentSettings) Counts(node *corev1.Node) bool {
	if node.Labels[corev1.LabelOSStable] != "linux" || node.Labels[optOutLabel] == "disabled" {
		return false
	}
	for key, value := range s.NodeSelector {
		if got, ok := node.Labels[key]; !ok || got != value {
			return false
		}
	}
	for i := range node.Spec.Taints {
		if taint := &node.Spec.Taints[i]; taint.Effect != corev1.TaintEffectPreferNoSchedule && !s.tolerates(taint) {
			return false
		}
	}
	return true
}

// daemonTaints are those that every Pod of a DaemonSet on the host's network tolerates.
var daemonTaints = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeUnschedulable, corev1.TaintNodeMemoryPressure,
	corev1.TaintNodeDiskPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable,
}

func (s AgentSettings) tolerates(taint *corev1.Taint) bool {
	return slices.Contains(daemonTaints, taint.Key) || slices.ContainsFunc(s.Tolerations, func(t corev1.Toleration) bool {
		return (t.Effect == "" || t.Effect == taint.Effect) && (t.Key == "" || t.Key == taint.Key) &&
			(t.Operator == corev1.TolerationOpExists || (t.Operator == "" || t.Operator == corev1.TolerationOpEqual) && t.Value == taint.Value)
	})
}
