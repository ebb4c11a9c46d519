// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("the rights of an installed Mirrorset",
	func(ctx SpecContext, account, request, want string) {
		args := append([]string{"auth", "can-i", "--quiet=false", "--as=system:serviceaccount:" + namespace + ":" + account}, strings.Fields(request)...)
		out, _ := mirrorset(ctx).Kubectl(ctx, args...).Output() // "no" is an error too; full names need no discovery, which kubectl caches
		Expect(strings.TrimSpace(string(out))).To(Equal(want))
	},
	Entry("the manager reads sets everywhere", "mirrorset-manager", "list imagedigestmirrorsets.config.openshift.io -A", "yes", nodeTimeout),
	Entry("the manager does not change sets", "mirrorset-manager", "patch imagedigestmirrorsets.config.openshift.io -A", "no", nodeTimeout),
	Entry("the manager applies its DaemonSet", "mirrorset-manager", "patch daemonsets/mirrorset-agent -n "+namespace, "yes", nodeTimeout),
	Entry("the manager applies no other DaemonSet", "mirrorset-manager", "patch daemonsets/other -n "+namespace, "no", nodeTimeout),
	Entry("the manager applies no DaemonSet elsewhere", "mirrorset-manager", "patch daemonsets/mirrorset-agent -n kube-system", "no", nodeTimeout),
	Entry("the manager reads no Secrets", "mirrorset-manager", "get secrets -n "+namespace, "no", nodeTimeout),
	Entry("the agent reads its ConfigMap", "mirrorset-agent", "watch configmaps/containers-registries.conf -n "+namespace, "yes", nodeTimeout),
	Entry("the agent reads no other ConfigMap", "mirrorset-agent", "get configmaps/other -n "+namespace, "no", nodeTimeout),
	Entry("the agent does not change its ConfigMap", "mirrorset-agent", "patch configmaps/containers-registries.conf -n "+namespace, "no", nodeTimeout),
	Entry("the agent reads no Secrets", "mirrorset-agent", "get secrets -n "+namespace, "no", nodeTimeout),
	Entry("the agent reads the logins of mirrors", "mirrorset-agent", "watch secrets/mirror-credentials -n "+namespace, "yes", nodeTimeout),
	Entry("the agent reads the authorities of mirrors", "mirrorset-agent", "watch configmaps/mirror-authorities -n "+namespace, "yes", nodeTimeout),
	Entry("the agent reads no other Secret", "mirrorset-agent", "list secrets/other -n "+namespace, "no", nodeTimeout),
	Entry("the agent does not change the logins of mirrors", "mirrorset-agent", "patch secrets/mirror-credentials -n "+namespace, "no", nodeTimeout),
	Entry("the manager reads no logins of mirrors", "mirrorset-manager", "list secrets/mirror-credentials -n "+namespace, "no", nodeTimeout),
	Entry("the agent reads no sets", "mirrorset-agent", "get imagedigestmirrorsets.config.openshift.io -A", "no", nodeTimeout),
	Entry("the agent reads no Nodes", "mirrorset-agent", "get nodes", "no", nodeTimeout),
)
