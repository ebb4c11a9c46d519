// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// mirrorsCommand returns "kubectl mirrors" as an administrator.
func mirrorsCommand(ctx context.Context, args ...string) *exec.Cmd {
	GinkgoHelper()
	bin, err := filepath.Abs("../../bin")
	Expect(err).NotTo(HaveOccurred())
	cmd := plane.Kubectl(ctx, append([]string{"mirrors"}, args...)...)
	cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
	return cmd
}

// mirrors runs "kubectl mirrors", and returns what it prints to both streams and its exit code.
func runMirrors(ctx context.Context, args ...string) (output string, code int) {
	GinkgoHelper()
	cmd := mirrorsCommand(ctx, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		Expect(err).NotTo(HaveOccurred())
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// containerdNode makes a node that runs containerd with a configuration, and starts its agent.
func containerdNode(ctx context.Context, name, config string) *node {
	GinkgoHelper()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
	Expect(admin.Create(ctx, object)).To(Succeed())
	object.Status.NodeInfo.ContainerRuntimeVersion = "containerd://2.4.2"
	Expect(admin.Status().Update(ctx, object)).To(Succeed())
	n := newNode()
	n.put("etc/containerd/config.toml", config)
	n.put("etc/containerd/certs.d/other.example/hosts.toml", "")
	p, err := plane.StartAgent(ctx, n.root, name, redirectorPort())
	Expect(err).NotTo(HaveOccurred())
	track("agent of "+name, p)
	return n
}

const (
	goodConfig = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n"
	badConfig  = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/etc/docker/certs.d\"\n"
)

// inCluster are the examples of docs/reference/plugin.md that need a cluster.
var inCluster = regexp.MustCompile("(?s)```text\n\\$ kubectl mirrors ((?:nodes|doctor)[^\n]*)\n(.*?)```")

var _ = Describe("docs/reference/plugin.md", func() {
	It("shows what the plugin prints of a cluster", func(ctx SpecContext) {
		startManager(ctx, alone)
		containerdNode(ctx, "node-1", goodConfig)
		containerdNode(ctx, "node-2", badConfig)
		out, err := plane.Kubectl(ctx, "apply", "-f", "config/samples/").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		out, err = plane.Kubectl(ctx, "wait", "--for=jsonpath={.status.observedGeneration}=1", "--timeout=60s", "idms", "--all").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out) // all sets are published then
		Eventually(func(g Gomega) {
			text, _ := runMirrors(ctx, "nodes")
			g.Expect(text).To(ContainSubstring("1 of 2 nodes have revision"))
		}).Should(Succeed())
		document, err := os.ReadFile("../../docs/reference/plugin.md")
		Expect(err).NotTo(HaveOccurred())
		examples := inCluster.FindAllStringSubmatch(string(document), -1)
		Expect(examples).NotTo(BeEmpty())
		for _, example := range examples {
			got, _ := runMirrors(ctx, strings.Fields(example[1])...)
			Expect(normal(got)).To(Equal(normal(example[2])), "%s prints:\n%s", example[1], got)
		}
	})
})

var _ = Describe("kubectl mirrors doctor", func() {
	It("tells what is wrong with a cluster whose manager is nowhere to be seen", func(ctx SpecContext) {
		startManager(ctx, alone) // as a process, and not as the Deployment has it
		containerdNode(ctx, "node-1", goodConfig)
		create(ctx, set("a", entry("s.com", "m1.local/s")))
		out, code := runMirrors(ctx, "nodes", "--watch", "--timeout=60s")
		Expect(code).To(Equal(0), out)
		out, code = runMirrors(ctx, "doctor")
		Expect(code).To(Equal(1), out)
		Expect(out).To(HavePrefix("PROBLEM  deployment/mirrorset-manager: no manager is available"))
		Expect(out).To(MatchRegexp(`(?m)^OK       crds: `))
		Expect(out).To(MatchRegexp(`(?m)^OK       configmap/containers-registries.conf: revision \d+ is complete, with 1 source$`))
		Expect(out).To(MatchRegexp(`(?m)^OK       nodes: 1 node has revision \d+ in force$`))
		Expect(out).To(MatchRegexp(`(?m)^OK       sets: `))
		out, code = runMirrors(ctx, "doctor", "node-1")
		Expect(code).To(Equal(0), out)
	})
})

var _ = Describe("kubectl mirrors nodes --watch", func() {
	It("follows a rollout, and ends when all nodes have it", func(ctx SpecContext) {
		n := newNode()
		startManager(ctx, alone)
		agent := startAgent(ctx, n)
		create(ctx, set("a", entry("s.com", "m1.local/s")))
		out, code := runMirrors(ctx, "nodes", "--watch", "--timeout=60s") // though nothing need be published yet
		Expect(code).To(Equal(0), out)
		Expect(out).To(HaveSuffix("1 node has revision " + revisionIn(out) + " in force.\n"))
		Expect(n.rules()).To(ContainSubstring("m1.local/s"))

		agent.Kill()
		change(ctx, set("a"), entry("s.com", "m2.local/s"))
		out, code = runMirrors(ctx, "nodes", "--watch", "--timeout=3s")
		Expect(code).To(Equal(1), out)
		Expect(out).To(HaveSuffix("error: after 3s, not all nodes have the sets in force as they are now\n"))
		Expect(out).To(MatchRegexp(`(?m)^node-1 .* Behind `))

		stream := gbytes.NewBuffer()
		watch := mirrorsCommand(ctx, "nodes", "-w")
		watch.Stdout = stream
		Expect(watch.Start()).To(Succeed())
		Eventually(stream).Should(gbytes.Say("Behind"))
		again, err := agent.Again()
		Expect(err).NotTo(HaveOccurred())
		track("agent", again)
		Expect(watch.Wait()).To(Succeed())
		Expect(string(stream.Contents())).To(MatchRegexp(`(?s)^NODE .*\nnode-1 .* Behind .*\nnode-1 .* InForce [^\n]*\n$`))
		Expect(n.rules()).To(ContainSubstring("m2.local/s"))
	})

	It("goes on when the API server has been away", func(ctx SpecContext) {
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		create(ctx, set("a", entry("s.com", "m1.local/s")))
		out, code := runMirrors(ctx, "nodes", "--watch", "--timeout=60s")
		Expect(code).To(Equal(0), out)
		manager.Kill()
		change(ctx, set("a"), entry("s.com", "m2.local/s")) // which nobody publishes now
		stdout, stderr := gbytes.NewBuffer(), gbytes.NewBuffer()
		watch := mirrorsCommand(ctx, "nodes", "-w", "--timeout=120s")
		watch.Stdout, watch.Stderr = stdout, stderr
		Expect(watch.Start()).To(Succeed())
		Eventually(stdout).Should(gbytes.Say("node-1"))
		Expect(plane.StopAPIServer()).To(Succeed())
		Expect(plane.StartAPIServer()).To(Succeed())
		startManager(ctx, alone)
		Expect(watch.Wait()).To(Succeed(), "%s", stderr.Contents())
		Expect(n.rules()).To(ContainSubstring("m2.local/s"))
	})

	It("names a right that is missing", func(ctx SpecContext) {
		startManager(ctx, alone)
		startAgent(ctx, newNode())
		create(ctx, set("a", entry("s.com", "m1.local/s")))
		out, code := runMirrors(ctx, "nodes", "--watch", "--timeout=60s")
		Expect(code).To(Equal(0), out)
		const who = "--as=somebody"
		bind := func(name string, rules ...string) {
			GinkgoHelper()
			for _, args := range [][]string{append([]string{"create", "clusterrole", name}, rules...), {"create", "clusterrolebinding", name, "--clusterrole", name, "--user=somebody"}} {
				text, err := plane.Kubectl(ctx, args...).CombinedOutput()
				Expect(err).NotTo(HaveOccurred(), "%s", text)
				DeferCleanup(func(ctx SpecContext) {
					Expect(plane.Kubectl(ctx, "delete", args[1], name).Run()).To(Succeed())
				})
			}
		}
		bind("watch-objects", "--verb=get,list,watch", "--resource=mirrornodes.mirrorset.io,imagedigestmirrorsets.config.openshift.io,imagetagmirrorsets.config.openshift.io")
		bind("get-configmap", "--verb=get", "--resource=configmaps")
		Eventually(func(g Gomega) {
			text, status := runMirrors(ctx, "nodes", who)
			g.Expect(status).To(Equal(0), text)
		}).Should(Succeed())
		out, code = runMirrors(ctx, "nodes", who, "--watch", "--timeout=60s")
		Expect(code).To(Equal(1), out)
		Expect(out).To(MatchRegexp(`^error: configmaps ".*" is forbidden: User "somebody" cannot list resource "configmaps"`))

		bind("list-configmap", "--verb=list", "--resource=configmaps")
		Eventually(func(g Gomega) {
			text, status := runMirrors(ctx, "nodes", who, "--watch", "--timeout=60s")
			g.Expect(status).To(Equal(1), text)
			g.Expect(text).To(MatchRegexp(`^error: configmaps ".*" is forbidden: User "somebody" cannot watch resource "configmaps"`))
		}).Should(Succeed())

		bind("watch-configmap", "--verb=watch", "--resource=configmaps", "--resource-name=containers-registries.conf")
		Eventually(func(g Gomega) {
			text, status := runMirrors(ctx, "nodes", who, "--watch", "--timeout=60s")
			g.Expect(status).To(Equal(0), text)
		}).Should(Succeed())
	})
})

var _ = Describe("the shipped viewer roles", func() {
	It("suffice for kubectl mirrors nodes", func(ctx SpecContext) {
		startManager(ctx, alone)
		startAgent(ctx, newNode())
		create(ctx, set("a", entry("s.com", "m1.local/s")))
		out, code := runMirrors(ctx, "nodes", "--watch", "--timeout=60s")
		Expect(code).To(Equal(0), out)
		bind := func(role string) {
			GinkgoHelper()
			text, err := plane.Kubectl(ctx, "create", "clusterrolebinding", "viewer-of-"+role, "--clusterrole=mirrorset-"+role+"-viewer", "--user=viewer").CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", text)
			DeferCleanup(func(ctx SpecContext) {
				Expect(plane.Kubectl(ctx, "delete", "clusterrolebinding", "viewer-of-"+role).Run()).To(Succeed())
			})
		}
		bind("mirrornode")
		Eventually(func(g Gomega) {
			text, status := runMirrors(ctx, "nodes", "--as=viewer")
			g.Expect(status).To(Equal(0), text)
		}).Should(Succeed())
		bind("imagedigestmirrorset")
		bind("imagetagmirrorset")
		Eventually(func(g Gomega) {
			text, status := runMirrors(ctx, "nodes", "--as=viewer", "--watch", "--timeout=60s")
			g.Expect(status).To(Equal(0), text)
		}).Should(Succeed())
		text, err := plane.Kubectl(ctx, "get", "configmaps", "--all-namespaces", "--as=viewer").CombinedOutput()
		Expect(err).To(HaveOccurred(), "%s", text) // the others are none of a viewer's
	})
})

// revisionIn returns the last revision that a text names.
func revisionIn(text string) string {
	all := regexp.MustCompile(`\d{13}`).FindAllString(text, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

var _ = Describe("kubectl mirrors uninstall", func() {
	DescribeTable("changes nothing where OLM would start the manager again", func(ctx SpecContext, mark, owner, last string) {
		key := client.ObjectKey{Namespace: controlplane.Namespace, Name: operand.ManagerName}
		label := func(ctx context.Context, value any) *appsv1.Deployment {
			manager := &appsv1.Deployment{}
			Expect(admin.Get(ctx, key, manager)).To(Succeed())
			patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{mark: value}}})
			Expect(err).NotTo(HaveOccurred())
			Expect(admin.Patch(ctx, manager, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
			return manager
		}
		before := label(ctx, owner)
		DeferCleanup(func(ctx SpecContext) { label(ctx, nil) })
		out, code := runMirrors(ctx, "uninstall")
		Expect(code).To(Equal(1))
		Expect(out).To(HavePrefix("error: OLM keeps Mirrorset installed in namespace mirrorset-system and would start the manager again, so nothing was changed. "))
		Expect(out).To(ContainSubstring("then delete " + last + " (docs/how-to/uninstall.md)"))
		after := &appsv1.Deployment{}
		Expect(admin.Get(ctx, key, after)).To(Succeed())
		Expect(after.ResourceVersion).To(Equal(before.ResourceVersion))
	},
		Entry("v0", "olm.owner", "mirrorset.v0.1.0", "the Subscription and ClusterServiceVersion mirrorset.v0.1.0 in namespace mirrorset-system"),
		Entry("v1", "olm.operatorframework.io/owner-name", "mirrorset", "ClusterExtension mirrorset"))
})
