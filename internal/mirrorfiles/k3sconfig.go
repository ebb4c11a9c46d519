// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// disablesDefault is the setting that says the most about mirrors.
const disablesDefault = "disable-default-registry-endpoint"

// k3sSettings are the settings that identify a config.yaml of k3s or RKE2. Each such file has some of them.
var k3sSettings = []string{
	disablesDefault, "system-default-registry", "private-registry", "embedded-registry", "write-kubeconfig-mode", "tls-san", "node-label",
	"node-taint", "node-name", "node-ip", "token-file", "agent-token", "cluster-init", "cluster-cidr", "service-cidr", "cluster-dns", "data-dir",
	"flannel-backend", "flannel-iface", "kubelet-arg", "kube-apiserver-arg", "kube-controller-manager-arg", "kube-proxy-arg", "etcd-snapshot-retention",
	"etcd-expose-metrics", "disable-kube-proxy", "disable-cloud-controller", "protect-kernel-defaults", "secrets-encryption", "airgap-extra-registry",
}

// ConfiguresK3s reports whether the fields of a file are those of the config.yaml of k3s or RKE2 (https://docs.k3s.io/cli/server).
func ConfiguresK3s(fields map[string]json.RawMessage) bool {
	has := func(name string) bool { _, ok := fields[name]; return ok }
	return slices.ContainsFunc(k3sSettings, has) || has("server") && has("token")
}

// DisablesDefaultEndpoint reports whether a config.yaml of k3s or RKE2 keeps the nodes from contacting any registry that has mirrors.
func DisablesDefaultEndpoint(fields map[string]json.RawMessage) bool {
	return slices.Contains([]string{"true", `"true"`}, string(fields[disablesDefault]))
}

// K3sItself reports the settings of a config.yaml of k3s or RKE2 that matter for mirrors. The file itself has no mirrors.
func K3sItself(fields map[string]json.RawMessage) *Content {
	c := &Content{}
	text := func(name string) string {
		var found string
		if json.Unmarshal(fields[name], &found) != nil {
			return string(fields[name])
		}
		return found
	}
	c.ignore("it is the configuration of k3s or RKE2 itself, which has no mirrors; this conversion uses only its setting %s", disablesDefault)
	if name := "system-default-registry"; fields[name] != nil {
		c.elsewhere("%s: k3s and RKE2 name their own images with %s, which is not a mirror; leave the setting where it is", name, value.Quote(text(name)))
	}
	if name := "private-registry"; fields[name] != nil {
		c.ignore("%s: the mirrors of these nodes are in %s; convert that file", name, value.Quote(text(name)))
	}
	if raw := string(fields["embedded-registry"]); strings.Trim(raw, `"`) == "true" {
		c.ignore("embedded-registry: the nodes share their images with each other, which a set cannot express")
	}
	return c
}
