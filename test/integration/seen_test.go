// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// sees is an agent that has all it is given in force, and sees its node's pulls.
func sees(p payload.Payload, status *mirrorsetv1alpha1.MirrorNodeStatus) {
	follows(p, status)
	status.SeesPulls = new(bool)
	*status.SeesPulls = true
}

// reports has a node report something more, as JSON.
func reports(ctx context.Context, node, status string) {
	GinkgoHelper()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{`+status+`}}`))
	Expect(admin.Status().Patch(ctx, &mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: node}}, patch)).To(Succeed())
}

// shadowOf returns what a set says that it would refuse: nodes, nodes that cannot tell, images.
func shadowOf(ctx context.Context, name string) func() (string, error) {
	return func() (string, error) {
		var s configv1.ImageDigestMirrorSet
		err := admin.Get(ctx, client.ObjectKey{Name: name}, &s)
		if err != nil || s.Status.Shadow == nil {
			return "", err
		}
		return fmt.Sprint(*s.Status.Shadow.Nodes, *s.Status.Shadow.UnseenNodes, s.Status.Shadow.Images), nil
	}
}

var _ = Describe("A set", func() {
	It("says which of its mirrors 51 nodes cannot pull from, and that it is over, in a few writes", func(ctx SpecContext) {
		nodes := teller{}
		for i := range 51 {
			nodes[fmt.Sprintf("node-%02d", i)] = sees
		}
		nodes.tell(ctx)
		startManager(ctx, alone)
		create(ctx, set("down", entry("quay.io/team", "m1.local/q", "m2.local")), set("up", entry("ghcr.io", "m2.local")))
		awaitInForce(ctx, "down", "up")
		reachable := conditionOf(ctx, "down", configv1.ConditionMirrorsReachable)
		Eventually(reachable).Should(says(metav1.ConditionTrue, configv1.ReasonNoFaultReported, ContainSubstring("nodes notice that a mirror is down only when they pull from it")))
		Eventually(conditionOf(ctx, "up", configv1.ConditionMirrorsReachable)).Should(HaveField("Status", metav1.ConditionTrue))
		before := statusWrites()
		Consistently(statusWrites, "2s", "500ms").Should(Equal(before))

		for name := range nodes {
			reports(ctx, name, `"mirrorFaults":[{"mirror":"m1.local/q","state":"Silent","since":"2026-01-02T03:04:05Z","message":"it does not answer within 10s"}]`)
		}
		Eventually(reachable).Should(says(metav1.ConditionFalse, configv1.ReasonMirrorFaults,
			Equal("m1.local/q does not answer node-00, node-01, node-02, node-03, node-04, node-05, node-06, node-07, node-08, node-09 and 41 more (it does not answer within 10s); to see what that node tried, run: kubectl mirrors pulls node-00")))
		Eventually(eventsOf(ctx, "down")).Should(HaveKeyWithValue(configv1.ReasonMirrorFaults, HavePrefix("Warning: m1.local/q does not answer node-")))
		awaitInForce(ctx, "down", "up")
		Expect(conditionOf(ctx, "down", configv1.ConditionStalled)()).To(BeZero())
		out, code := runMirrors(ctx, "nodes", "-o", "wide", "node-00")
		Expect(out).To(MatchRegexp(`node-00 .* InForce .* no +m1.local/q: Silent +<none>`))
		Expect(code).To(BeZero())
		fell := statusWrites()["down"] - before["down"]
		Expect(fell).To(BeNumerically("<=", 5))

		for name := range nodes {
			reports(ctx, name, `"mirrorFaults":null`)
		}
		Eventually(reachable, "2m").Should(says(metav1.ConditionTrue, configv1.ReasonNoFaultReported, Not(BeEmpty())))
		Eventually(eventsOf(ctx, "down")).Should(HaveKeyWithValue(configv1.ReasonNoFaultReported, HavePrefix("Normal: ")))
		after := statusWrites()
		AddReportEntry("writes for a mirror that goes down for 51 nodes and comes back", fmt.Sprintf("%d and %d", fell, after["down"]-before["down"]-fell))
		Expect(after["down"] - before["down"]).To(BeNumerically("<=", 10))
		Expect(after["up"]).To(Equal(before["up"]), "the other set has nothing to do with it")
	}, SpecTimeout(5*time.Minute))

	It("says in shadow mode what it would refuse, in one write a minute", long, func(ctx SpecContext) {
		teller{"node-1": sees, "node-2": sees, "node-3": follows}.tell(ctx)
		startManager(ctx, alone)
		s := set("shadow", entry("quay.io/team", "m1.local/q"))
		s.Spec.ImageDigestMirrors[0].MirrorSourcePolicy = configv1.NeverContactSource
		s.Annotations = map[string]string{mirrors.EnforcementAnnotation: "shadow"}
		create(ctx, s)
		awaitInForce(ctx, "shadow")
		Eventually(shadowOf(ctx, "shadow")).Should(Equal("0 1 []"))
		Expect(mustPublished(ctx).Shadow).To(HaveKey("quay.io/team"))
		before := statusWrites()["shadow"]

		reports(ctx, "node-1", `"wouldRefuse":[{"source":"quay.io/team","count":1,"images":["quay.io/team/b:1"]}]`)
		Eventually(shadowOf(ctx, "shadow")).Should(Equal("1 1 [quay.io/team/b:1]"))
		for i := range 5 {
			reports(ctx, "node-2", fmt.Sprintf(`"wouldRefuse":[{"source":"quay.io/team","count":%d,"images":["quay.io/team/a:%d"]}]`, i+1, i))
		}
		Consistently(shadowOf(ctx, "shadow"), "5s", "500ms").Should(Equal("1 1 [quay.io/team/b:1]"))
		Expect(statusWrites()["shadow"] - before).To(Equal(1))
		Eventually(shadowOf(ctx, "shadow"), "2m", "500ms").Should(Equal("2 1 [quay.io/team/a:4 quay.io/team/b:1]"))
		Expect(statusWrites()["shadow"] - before).To(Equal(2))

		Expect(admin.Patch(ctx, s, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+mirrors.EnforcementAnnotation+`":null}}}`)))).To(Succeed())
		Eventually(shadowOf(ctx, "shadow")).Should(BeEmpty())
		Expect(mustPublished(ctx).Shadow).To(BeEmpty())
	}, SpecTimeout(5*time.Minute))
})
