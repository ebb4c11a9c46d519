// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/test/cluster"
)

var _ = Describe("a real node", func() {
	var (
		c              *cluster.Cluster
		seen           *traffic
		source, mirror *countedRegistry
	)

	BeforeEach(func(ctx SpecContext) {
		c = node(ctx)
		seen = &traffic{}
		source, mirror = startRegistry("source", seen), startRegistry("mirror", seen)
	}, setUpTimeout)

	It("runs a Pod whose image is named by digest", func(ctx SpecContext) {
		image, digest := newImage(ctx)
		source.push(ctx, "team/app", image)
		seen.forget()
		pod := expectRunning(ctx, c, createPod(ctx, c, source.host+"/team/app"+digest, true))
		_, requests := seen.count(source.name)
		Expect(requests).NotTo(BeZero())
		out, err := c.Kubectl(ctx, "logs", pod.Name).CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
	}, nodeTimeout)

	It("runs a Pod from a mirror that certs.d names while the source is unreachable", func(ctx SpecContext) {
		image, digest := newImage(ctx)
		mirror.push(ctx, "team/app", image)
		source.stop()
		seen.forget()
		onNode(c, "/etc/containerd/certs.d/"+source.host+"/hosts.toml",
			fmt.Sprintf("server = \"http://%s\"\n\n[host.\"http://%s\"]\ncapabilities = [\"pull\", \"resolve\"]\n", source.host, mirror.host))
		expectRunning(ctx, c, createPod(ctx, c, source.host+"/team/app"+digest, true))
		seen.report([]*countedRegistry{source, mirror})
		Expect(seen.asked()).To(Equal([]string{mirror.name}))
	}, nodeTimeout)

	It("has a Podman that follows the node's registries.conf", func(ctx SpecContext) {
		image, digest := newImage(ctx)
		mirror.push(ctx, "copy/app", image)
		onNode(c, "/etc/containers/registries.conf", fmt.Sprintf("[[registry]]\nprefix = \"source.invalid/team\"\nlocation = \"source.invalid/team\"\n"+
			"[[registry.mirror]]\nlocation = \"%s/copy\"\ninsecure = true\n", mirror.host))
		for _, p := range podmans {
			seen.forget()
			p.expectPulledOn(ctx, c, "source.invalid/team/app"+digest, image)
			Expect(seen.asked()).To(Equal([]string{mirror.name}))
		}
	}, nodeTimeout)

	It("lets a Pod with a network of its own reach the API server by its Service", func(ctx SpecContext) {
		image, digest := newImage(ctx)
		source.push(ctx, "team/app", image)
		pod := expectRunning(ctx, c, createPod(ctx, c, source.host+"/team/app"+digest, false))
		service, err := c.Client.CoreV1().Services(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		tasks, err := c.Exec(ctx, "ctr", "--namespace", "k8s.io", "tasks", "list")
		Expect(err).NotTo(HaveOccurred())
		id := strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "containerd://")
		pid := regexp.MustCompile(id + `\s+(\d+)`).FindStringSubmatch(tasks)
		Expect(pid).To(HaveLen(2), tasks)
		out, err := c.Exec(ctx, "nsenter", "--target", pid[1], "--net",
			"kubectl", "--kubeconfig", c.Kubeconfig, "--server", "https://"+service.Spec.ClusterIP, "get", "--raw", "/readyz")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(Equal("ok"))
	}, nodeTimeout)

	It("keeps its Pods, and takes new ones, over restarts of kubelet, containerd and API server", func(ctx SpecContext) {
		image, digest := newImage(ctx)
		source.push(ctx, "team/app", image)
		pod := expectRunning(ctx, c, createPod(ctx, c, source.host+"/team/app"+digest, true))
		for _, restart := range []func() error{
			func() error { return c.RestartKubelet(ctx) },
			func() error { return c.RestartContainerd(ctx) },
			func() error { return restartAPIServer(ctx, c) },
		} {
			Expect(restart()).To(Succeed())
			image, digest := newImage(ctx)
			source.push(ctx, "team/app", image)
			expectRunning(ctx, c, createPod(ctx, c, source.host+"/team/app"+digest, true))
		}
		now := expectRunning(ctx, c, pod)
		Expect(now.Status.ContainerStatuses[0].ContainerID).To(Equal(pod.Status.ContainerStatuses[0].ContainerID))
		Expect(now.Status.ContainerStatuses[0].RestartCount).To(BeZero())
	}, nodeTimeout)
})
