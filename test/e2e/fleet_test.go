// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

const fleetSize = 50 // beside the real node

var _ = Describe("a fleet of 51 nodes", Ordered, ContinueOnFailure, longest, func() {
	var f *fleet

	BeforeAll(func(ctx SpecContext) {
		f = startFleet(ctx, fleetSize)
	}, setUpTimeout)

	BeforeEach(func() {
		DeferCleanup(func(ctx SpecContext) { f.deleteSets(ctx) }, cleanUpTimeout) // after what the spec itself cleans up
	})

	AfterEach(func(ctx SpecContext) { f.tellState(ctx) }, cleanUpTimeout)

	It("says when a set is in force on all of them, each change with O(1) writes to the set", func(ctx SpecContext) {
		f.expectReported(ctx) // a node that has just joined writes twice
		for i, mirror := range []string{"mirror.example.com/first", "mirror.example.com/second"} {
			before := f.writes(ctx)
			started := time.Now()
			f.apply(ctx, set("20-global", "registry.example.com", mirror))
			f.expectRevision(ctx, started)
			f.expectApplied(ctx, "20-global", beApplied())
			reportTime("the set was Applied after", started)
			f.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-global")
			f.expectFollowed(ctx, time.Second)
			spent := f.writes(ctx).since(before)
			spent.report(fmt.Sprint("generation ", i+1))
			Expect(spent.ConfigMaps).To(Equal(1))
			Expect(spent.Sets).To(BeNumerically("<=", 5), "one for the generation, one at the end, and some on the way")
			Expect(spent.Nodes).To(BeNumerically("<=", fleetSize+1), "each once")
		}
	}, nodeTimeout)

	It("says which node is waited for, and that its agent is silent, until it is back", func(ctx SpecContext) {
		const stopped = "fleet-07"
		f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com"))
		f.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-global")
		f.stop(stopped)
		f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com/changed"))
		started := time.Now()
		f.expectApplied(ctx, "20-global", beProgressing("in force on 50 of 51 nodes; waiting for "+stopped))
		Expect(f.kubectl(ctx, "get", "idms/20-global")).To(MatchRegexp(` True +False +`))

		f.kubectl(ctx, "wait", "--for=condition=Applied=unknown", kubectlTimeout, "mirrornode/"+stopped)
		reportTime("the node was shown as silent after", started)
		silent := fmt.Sprintf("its agent has not put revision %d in force", f.published(ctx))
		Expect(f.kubectl(ctx, "get", "mirrornode/"+stopped, "-o", "wide")).To(And(ContainSubstring("Unknown"), ContainSubstring(silent)))
		f.expectApplied(ctx, "20-global", beProgressing("in force on 50 of 51 nodes; waiting for "+stopped+" ("+silent+")"))

		started = time.Now()
		f.start(stopped)
		f.expectApplied(ctx, "20-global", beApplied())
		reportTime("it was Applied after the agent was back by", started)
		Expect(f.node(ctx, stopped).Status.Conditions).To(ContainElement(And(HaveField("Type", mirrorsetv1alpha1.ConditionApplied), HaveField("Status", metav1.ConditionTrue))))
	}, nodeTimeout)

	It("says that a node's agent is gone although nothing new is published, by one write, until it is back", func(ctx SpecContext) {
		const gone = "fleet-08"
		f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com"))
		f.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-global")
		before := f.writes(ctx)
		f.stop(gone)
		pod := f.setReady(ctx, gone, corev1.ConditionFalse)
		started := time.Now()
		f.kubectl(ctx, "wait", "--for=condition=Applied=unknown", kubectlTimeout, "mirrornode/"+gone)
		reportTime("the node was shown as not known after", started)
		Expect(f.kubectl(ctx, "get", "mirrornode/"+gone, "-o", "wide")).To(And(ContainSubstring("Unknown"), ContainSubstring("describe pod/"+pod.Name)))
		f.expectApplied(ctx, "20-global", beApplied())
		spent := f.writes(ctx).since(before)
		spent.report("a node whose agent is gone")
		Expect(spent).To(And(HaveField("Sets", 0), HaveField("ConfigMaps", 0), HaveField("Nodes", 1)))

		started = time.Now()
		f.start(gone)
		f.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "mirrornode/"+gone)
		reportTime("it was shown as in force after the agent was back by", started)
		f.setReady(ctx, gone, corev1.ConditionTrue)
	}, nodeTimeout)

	It("writes no set when a node joins or leaves, nor when nothing happens", func(ctx SpecContext) {
		f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com"))
		f.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-global")
		before := f.writes(ctx)
		started := time.Now()
		f.join(ctx, "fleet-99")
		f.expectFollowed(ctx, convergeTimeout)
		reportTime("the joined node had the set in force after", started)
		f.remove(ctx, "fleet-99")
		Consistently(func() writes { return f.writes(ctx).since(before) }).WithTimeout(3 * time.Second).WithPolling(time.Second).
			Should(And(HaveField("Sets", 0), HaveField("ConfigMaps", 0)))
		f.writes(ctx).since(before).report("a node that joined and left")

		before = f.writes(ctx)
		Consistently(func() writes { return f.writes(ctx).since(before) }).WithTimeout(10 * time.Second).WithPolling(time.Second).Should(BeZero())
	}, nodeTimeout)

	It("says which node cannot follow, until it can", func(ctx SpecContext) {
		const broken = "fleet-13"
		path := f.agents[broken].root + dropIn
		DeferCleanup(os.RemoveAll, path)
		f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com"))
		f.kubectl(ctx, "wait", "--for=condition=Applied", kubectlTimeout, "idms/20-global")
		put(path, "# Written by somebody else\n")
		f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com/changed"))
		f.expectApplied(ctx, "20-global", HaveValue(And(HaveField("Reason", configv1.ReasonNodesFailing), HaveField("Status", metav1.ConditionFalse),
			HaveField("Message", HavePrefix("in force on 50 of 51 nodes; failing: "+broken+" (")))))
		AddReportEntry("the set says", f.applied(ctx, "20-global").Message, ReportEntryVisibilityAlways)

		Expect(os.Remove(path)).To(Succeed())
		started := time.Now()
		f.expectApplied(ctx, "20-global", beApplied())
		reportTime("it was Applied after the node was mended by", started)
	}, nodeTimeout)

	It("says which nodes have lost a set, and by which file, until they have it again, with few writes", func(ctx SpecContext) {
		const local = "/etc/containers/registries.conf.d/99-local.conf"
		const table = "[[registry]]\nprefix = \"registry.example.com\"\nlocation = \"registry.example.com\"\nblocked = true\n"
		lose := func(name string) {
			put(f.agents[name].root+local, table)
			DeferCleanup(os.RemoveAll, f.agents[name].root+local)
		}
		f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com"), set("30-other", "other.example.com", "mirror.example.com"))
		f.kubectl(ctx, "wait", "--for=condition=Ready", kubectlTimeout, "idms", "--all")
		before := f.writes(ctx)
		started := time.Now()
		lose("fleet-21")
		f.expectApplied(ctx, "20-global", beDegraded(HavePrefix("every node had it in force, but now 1 node has not: fleet-21 ("+local+" on this node blocks \"registry.example.com\"")))
		reportTime("the loss was told after", started)
		AddReportEntry("the set says", f.applied(ctx, "20-global").Message, ReportEntryVisibilityAlways)
		f.kubectl(ctx, "wait", "--for=condition=Stalled", kubectlTimeout, "idms/20-global")
		Expect(os.Remove(f.agents["fleet-21"].root + local)).To(Succeed())
		started = time.Now()
		f.expectApplied(ctx, "20-global", beApplied())
		reportTime("the recovery was told after", started)
		spent := f.writes(ctx).since(before)
		spent.report("one node that lost a set and has it again")
		Expect(spent.Sets).To(BeNumerically("<=", 2))

		before = f.writes(ctx)
		for name := range f.agents {
			lose(name)
		}
		f.expectApplied(ctx, "20-global", beDegraded(ContainSubstring(fmt.Sprintf("but now %d nodes have not: ", fleetSize))))
		for name := range f.agents {
			Expect(os.Remove(f.agents[name].root + local)).To(Succeed())
		}
		f.kubectl(ctx, "wait", "--for=condition=Ready", kubectlTimeout, "idms", "--all")
		spent = f.writes(ctx).since(before)
		spent.report(fmt.Sprintf("%d nodes that lost a set and have it again", fleetSize))
		Expect(spent.Sets).To(BeNumerically("<=", 8), "not one for each node")
		f.expectApplied(ctx, "30-other", beApplied())
	}, nodeTimeout)

	It("shows the runtime that a node has by now", func(ctx SpecContext) {
		f.kubectl(ctx, "patch", "node", "fleet-01", "--subresource=status", "--type=merge", "-p", `{"status": {"nodeInfo": {"containerRuntimeVersion": "cri-o://1.35.0"}}}`)
		Eventually(f.node).WithArguments(ctx, "fleet-01").WithTimeout(convergeTimeout).
			Should(HaveField("Annotations", HaveKeyWithValue(mirrorsetv1alpha1.RuntimeAnnotation, "cri-o://1.35.0")))
	}, nodeTimeout)

	It("publishes anew what somebody made immutable", func(ctx SpecContext) {
		f.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com"))
		f.expectFollowed(ctx, convergeTimeout)
		configMap := []string{"configmap", "-n", namespace, "containers-registries.conf"}
		get := append(append([]string{"get"}, configMap...), "-o", "jsonpath={.metadata.uid} {.immutable}")
		before := f.kubectl(ctx, get...)
		f.kubectl(ctx, append(append([]string{"patch"}, configMap...), "--type=merge", "-p", `{"immutable": true, "data": null}`)...)
		Eventually(func() (string, error) {
			now, err := f.Kubectl(ctx, get...).Output() // it may be away for a moment
			return string(now), err
		}).WithContext(ctx).WithTimeout(convergeTimeout).Should(And(HaveSuffix(" "), Not(Equal(before))))
		f.expectFollowed(ctx, convergeTimeout)
	}, nodeTimeout)

	It("takes from an agent what it says of its own node, and of no other", func(ctx SpecContext) {
		config, err := clientcmd.BuildConfigFromFlags("", f.agents["fleet-01"].kubeconfig)
		Expect(err).NotTo(HaveOccurred())
		stolen, err := client.New(config, client.Options{Scheme: f.objects.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		lie := client.RawPatch(types.MergePatchType, []byte(`{"status":{"runtimes":["stolen"]}}`))
		f.expectReported(ctx) // of what the spec before took away
		other, own := f.node(ctx, "fleet-02"), f.node(ctx, "fleet-01")

		err = stolen.Status().Patch(ctx, other.DeepCopy(), lie)
		Expect(err).To(MatchError(ContainSubstring("the agent of node fleet-01 may write only the MirrorNode of that node")))
		AddReportEntry("the API server says", err.Error(), ReportEntryVisibilityAlways)
		Consistently(f.node).WithArguments(ctx, "fleet-02").WithTimeout(time.Second).Should(Equal(other))

		Expect(stolen.Status().Patch(ctx, &own, lie)).To(Succeed())
		Expect(own.Status.Runtimes).To(HaveExactElements("stolen"))
		Eventually(f.node).WithArguments(ctx, "fleet-01").WithTimeout(convergeTimeout).
			Should(HaveField("Status.Runtimes", HaveExactElements("CRI-O")), "the agent itself says otherwise")
	}, nodeTimeout)

	It("follows the sets again after etcd went back in time", func(ctx SpecContext) {
		f.expectRestored(ctx)
	}, nodeTimeout)
})
