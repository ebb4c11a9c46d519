// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// crioNode makes a node that runs CRI-O, and starts its agent.
func crioNode(ctx context.Context, name string) (*node, *controlplane.Process) {
	GinkgoHelper()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
	Expect(admin.Create(ctx, object)).To(Succeed())
	object.Status.NodeInfo.ContainerRuntimeVersion = "cri-o://1.34.0"
	Expect(admin.Status().Update(ctx, object)).To(Succeed())
	n := newNode()
	n.put("etc/crio/crio.conf.d/10-reload.conf", "[crio.image]\nauto_reload_registries = true\n")
	p, err := plane.StartAgent(ctx, n.root, name)
	Expect(err).NotTo(HaveOccurred())
	return n, track("agent of "+name, p)
}

// registryTable is one of a registries.conf of somebody else.
func registryTable(prefix, rest string) string {
	return "[[registry]]\nprefix = \"" + prefix + "\"\nlocation = \"" + prefix + "\"\n" + rest
}

// conditionOf returns a condition of a set.
func conditionOf(ctx context.Context, name, kind string) func() (metav1.Condition, error) {
	return func() (metav1.Condition, error) {
		var s configv1.ImageDigestMirrorSet
		if err := admin.Get(ctx, client.ObjectKey{Name: name}, &s); err != nil {
			return metav1.Condition{}, err
		}
		for _, c := range s.Status.Conditions {
			if c.Type == kind && c.ObservedGeneration == s.Generation {
				return c, nil
			}
		}
		return metav1.Condition{}, nil
	}
}

func says(is metav1.ConditionStatus, reason string, message types.GomegaMatcher) types.GomegaMatcher {
	return And(HaveField("Status", is), HaveField("Reason", reason), HaveField("Message", message))
}

// awaitInForce waits until sets are ready.
func awaitInForce(ctx context.Context, names ...string) {
	GinkgoHelper()
	for _, name := range names {
		for _, kind := range []string{configv1.ConditionApplied, configv1.ConditionReady} {
			Eventually(conditionOf(ctx, name, kind)).Should(says(metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, HavePrefix("in force: every node")), name)
		}
	}
}

// statusWrites returns how often the status of each set was written.
func statusWrites() map[string]int {
	GinkgoHelper()
	requests, err := plane.Requests()
	Expect(err).NotTo(HaveOccurred())
	writes := map[string]int{}
	for i := range requests {
		if o := &requests[i].Object; o.Resource == kinds.Digest.Resource && o.Subresource == "status" {
			writes[o.Name]++
		}
	}
	return writes
}

// eventsOf returns the reasons of the events about a set, with their texts.
func eventsOf(ctx context.Context, name string) func() (map[string]string, error) {
	return func() (map[string]string, error) {
		var list eventsv1.EventList
		if err := admin.List(ctx, &list, client.InNamespace("default")); err != nil {
			return nil, err
		}
		found := map[string]string{}
		for i := range list.Items {
			if e := &list.Items[i]; e.Regarding.Name == name {
				found[e.Reason] = e.Type + ": " + e.Note
			}
		}
		return found, nil
	}
}

var _ = Describe("A set that is in force on all nodes", func() {
	const theirs = dropIns + "/99-local.conf"
	var (
		a, b    string // sets of their own names, for the record and the events of others are not deleted
		nodes   []*node
		agent   *controlplane.Process // of the second node
		manager *controlplane.Process
		specs   int
	)

	BeforeEach(func(ctx SpecContext) {
		specs++
		a, b = fmt.Sprintf("lost-%d", specs), fmt.Sprintf("kept-%d", specs)
		manager = startManager(ctx, alone)
		first, _ := crioNode(ctx, "node-1")
		var second *node
		second, agent = crioNode(ctx, "node-2")
		nodes = []*node{first, second}
		create(ctx, set(a, entry("quay.io/team", "m1.local/q")), set(b, entry("ghcr.io", "m1.local/g")))
		awaitInForce(ctx, a, b)
	})

	It("says within seconds which node has lost it and by which file, and comes back", func(ctx SpecContext) {
		before := statusWrites()
		nodes[1].put(theirs, registryTable("quay.io", "blocked = true\n"))
		started := time.Now()
		message := And(HavePrefix(`every node had it in force, but now 1 node has not: node-2 (/`+theirs+` on this node blocks "quay.io"`), ContainSubstring(`source "quay.io/team"`))
		Eventually(conditionOf(ctx, a, configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonDegraded, message))
		AddReportEntry("the loss was told after", time.Since(started).String())
		Eventually(conditionOf(ctx, a, configv1.ConditionReady)).Should(says(metav1.ConditionFalse, configv1.ReasonDegraded, message))
		Eventually(conditionOf(ctx, a, configv1.ConditionStalled)).Should(says(metav1.ConditionTrue, configv1.ReasonDegraded, message))
		out, code := runMirrors(ctx, "nodes", "-o", "wide")
		Expect(out).To(MatchRegexp(`node-2 +CRI-O +\d+ +Failing +\w+ +no +<unknown> +/` + theirs + ` on this node blocks "quay.io"`))
		Expect(code).To(BeZero())
		Eventually(eventsOf(ctx, a)).Should(HaveKeyWithValue(configv1.ReasonDegraded, And(HavePrefix("Warning: "), ContainSubstring(theirs))))

		nodes[1].remove(theirs)
		started = time.Now()
		awaitInForce(ctx, a)
		AddReportEntry("the recovery was told after", time.Since(started).String())
		Eventually(conditionOf(ctx, a, configv1.ConditionStalled)).Should(BeZero())
		Eventually(eventsOf(ctx, a)).Should(HaveKeyWithValue("Recovered", HavePrefix("Normal: generation 1 is in force")))
		awaitInForce(ctx, b)
		after := statusWrites()
		Expect(after[a]-before[a]).To(Equal(2), "the loss and the recovery")
		Expect(after[b]-before[b]).To(BeZero(), "the other set has nothing to do with it")
	})

	DescribeTable("is lost with", func(ctx SpecContext, breaks, mends func(), why string) {
		breaks()
		Eventually(conditionOf(ctx, a, configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonDegraded, ContainSubstring("now 1 node has not: node-2 (")))
		Expect(conditionOf(ctx, a, configv1.ConditionApplied)()).To(HaveField("Message", ContainSubstring(why)))
		mends()
		awaitInForce(ctx, a, b)
	},
		Entry("a table of a file that is read later", func() { nodes[1].put(theirs, registryTable("quay.io/team", "")) }, func() { nodes[1].remove(theirs) },
			"/"+theirs+` on this node is read after the drop-in of Mirrorset and has a [[registry]] table with the prefix "quay.io/team"`),
		Entry("a file that no runtime can read", func() { nodes[1].put(theirs, "[[registry") }, func() { nodes[1].remove(theirs) }, "/"+theirs+" is broken"),
		Entry("somebody else's file in the place of ours", func() { nodes[1].put(dropIn, "# theirs\n") }, func() { nodes[1].remove(dropIn) }, "/"+dropIn+" is not a file of Mirrorset"),
		Entry("a file of a format that no runtime reads any more", func() {
			nodes[1].put("etc/containers/registries.conf", "[registries.search]\nregistries = ['x.example']\n")
		}, func() { nodes[1].remove("etc/containers/registries.conf") }, "/etc/containers/registries.conf is broken"),
	)

	It("is written once or twice for a node that flaps", func(ctx SpecContext) {
		before := statusWrites()
		for range 12 {
			nodes[1].put(theirs, registryTable("quay.io", "blocked = true\n"))
			time.Sleep(500 * time.Millisecond)
			nodes[1].remove(theirs)
			time.Sleep(500 * time.Millisecond)
		}
		awaitInForce(ctx, a)
		spent := statusWrites()[a] - before[a]
		AddReportEntry("writes for 12 flaps in 12 seconds", fmt.Sprint(spent))
		Expect(spent).To(BeNumerically("<=", 2))
	})

	It("is not written for nodes that join, fall silent or leave, and says so of one that joins and cannot have it", func(ctx SpecContext) {
		before := statusWrites()
		crioNode(ctx, "node-3")
		Eventually(func() (string, error) {
			out, err := plane.Kubectl(ctx, "wait", "--for=condition=Applied", "--timeout=60s", "mirrornode/node-3").CombinedOutput()
			return string(out), err
		}).Should(ContainSubstring("condition met"))
		agent.Kill()
		Expect(admin.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}})).To(Succeed())
		Consistently(statusWrites, "4s", "500ms").Should(Equal(before))
		awaitInForce(ctx, a, b)

		joined := newNode()
		joined.put(theirs, registryTable("quay.io", "blocked = true\n"))
		joined.put("etc/crio/crio.conf.d/10-reload.conf", "[crio.image]\nauto_reload_registries = true\n")
		object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-4", Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
		Expect(admin.Create(ctx, object)).To(Succeed())
		p, err := plane.StartAgent(ctx, joined.root, "node-4")
		Expect(err).NotTo(HaveOccurred())
		track("agent of node-4", p)
		Eventually(conditionOf(ctx, a, configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonDegraded, ContainSubstring("now 1 node has not: node-4 (")))
		Expect(admin.Delete(ctx, object)).To(Succeed())
		awaitInForce(ctx, a)
	})

	It("stays lost where the manager starts anew, and is recovered by the next one", func(ctx SpecContext) {
		nodes[1].put(theirs, registryTable("quay.io", "blocked = true\n"))
		Eventually(conditionOf(ctx, a, configv1.ConditionApplied)).Should(HaveField("Reason", configv1.ReasonDegraded))
		manager.Kill()
		before := statusWrites()
		startManager(ctx, alone)
		Consistently(conditionOf(ctx, a, configv1.ConditionApplied), "3s", "100ms").Should(HaveField("Reason", configv1.ReasonDegraded))
		Expect(statusWrites()).To(Equal(before))
		nodes[1].remove(theirs)
		awaitInForce(ctx, a)
	})
})

var _ = Describe("A set on nodes that run containerd", func() {
	It("is lost while a node's containerd does not read what is written, or somebody else has the registry's file", func(ctx SpecContext) {
		startManager(ctx, alone)
		containerdNode(ctx, "node-1", goodConfig)
		n := containerdNode(ctx, "node-2", goodConfig)
		create(ctx, set("c", entry("quay.io", "m1.local/q")))
		awaitInForce(ctx, "c")

		n.put("etc/containerd/config.toml", badConfig)
		Eventually(conditionOf(ctx, "c", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonDegraded, ContainSubstring("node-2 (/etc/containerd/config.toml sets config_path = ")))
		n.put("etc/containerd/config.toml", goodConfig)
		awaitInForce(ctx, "c")

		const hosts = "etc/containerd/certs.d/quay.io/hosts.toml"
		n.put(hosts, "server = \"https://theirs.example\"\n")
		Eventually(conditionOf(ctx, "c", configv1.ConditionApplied)).Should(says(metav1.ConditionFalse, configv1.ReasonDegraded, ContainSubstring("node-2 (registry quay.io: /"+hosts+" is not a file of Mirrorset")))
		n.remove(strings.TrimSuffix(hosts, "/hosts.toml"))
		awaitInForce(ctx, "c")
	})
})
