// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/test/cluster"
)

var _ = Describe("a fleet of 51 nodes whose changes go by stages", Ordered, ContinueOnFailure, longest, func() {
	var (
		r       *rollout
		started time.Time // of the spec
	)

	BeforeAll(func(ctx SpecContext) {
		r = startRollout(ctx)
	}, setUpTimeout)

	BeforeEach(func(ctx SpecContext) {
		r.expectApplied(ctx, "20-global", beApplied())
		r.expectReported(ctx)
		started = time.Now()
	}, setUpTimeout)

	AfterEach(func(ctx SpecContext) {
		if r == nil {
			return // it has not come that far
		}
		if CurrentSpecReport().Failed() {
			r.tellState(ctx)
			r.recover(ctx)
			return
		}
		r.shut.expectSome(ctx, time.Now())
		r.expectStaged(started, soak, r.closed.host)
		r.expectClosed()
	}, cleanUpTimeout)

	It("gives a good change to the canaries, and then to all nodes under the same revision", func(ctx SpecContext) {
		r.try(ctx, "better")
		r.expectSays(ctx, "20-global", beWaiting(configv1.ReasonCanaryProgressing))
		revision := r.last().canary.Revision
		back := time.Now()
		r.start(lastCanary)
		r.expectEverywhere(ctx, "/better")
		reportTime("all nodes had it, and said so, after the last canary was back by", back)
		Expect(r.fleet.published(ctx)).To(Equal(revision))
		Expect(r.last().canary).To(BeNil())
		r.expectSays(ctx, "20-global", beApplied())
		var first time.Time // of the others
		for _, name := range r.nodes {
			if at := r.when(name, "/better", started); !slices.Contains(canaries, name) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		Expect(first).To(BeTemporally(">=", r.when(lastCanary, "/better", started).Add(soak)))
		r.open.expectNone(started)
	}, nodeTimeout)

	It("halts a typo at the first canary, and says which image cannot be had any more", func(ctx SpecContext) {
		other := r.startPodman("fleet-30", r.pulled)
		r.apply(ctx, r.typo("kopy"))
		r.expectHalted(ctx, "/kopy", started, cluster.NodeName, canaries...)
		other.expectNone(started)
		r.open.report("pulls on the first canary, which the change is for", started)
		Expect(r.rolloutStatus(ctx)).To(ContainSubstring(cluster.NodeName))
		Consistently(r.now).WithArguments("/kopy").WithTimeout(soak).WithPolling(20*time.Millisecond).Should(BeEmpty(), "these very rules are not tried again")

		mended := time.Now()
		r.apply(ctx, r.good("mended"))
		r.expectEverywhere(ctx, "/mended")
		reportTime("all nodes had the mended set after", mended)
		r.expectSays(ctx, "20-global", beApplied())
		AddReportEntry("commands to mend it", "1: kubectl apply of the set without the typo", ReportEntryVisibilityAlways)
		Expect(r.last().rollout.Halted).To(BeNil())
	}, nodeTimeout)

	It("halts it where the real node is no canary, which goes on to pull, and ends the stage once it is taken back", func(ctx SpecContext) {
		r.usualCanaries()
		r.runs("fleet-02", r.running)
		DeferCleanup(os.RemoveAll, r.agents["fleet-02"].root+"/run/containers")
		r.haveCanaries(ctx, "fleet-01", "fleet-02")
		r.apply(ctx, r.good("mended")) // as it may be already
		r.expectEverywhere(ctx, "/mended")
		r.apply(ctx, r.typo("copyy"))
		r.expectHalted(ctx, "/copyy", started, "fleet-02", "fleet-01", "fleet-02")
		r.open.expectNone(started)

		revision := r.fleet.published(ctx)
		r.apply(ctx, r.good("mended"))
		r.expectSays(ctx, "20-global", beApplied())
		Expect(r.fleet.published(ctx)).To(Equal(revision), "what all nodes have has not changed")
		r.open.expectNone(started)
	}, nodeTimeout)

	It("waits for a canary that is away no longer than a minute, whichever manager waits, and says so", func(ctx SpecContext) {
		const away = "fleet-02"
		r.stop(away)
		r.apply(ctx, r.good("unseen"))
		r.expectStage(ctx, "/unseen", canaries...)
		r.killManager(ctx)
		begun := time.Now()
		r.expectTried(ctx, "/unseen", "fleet-01", cluster.NodeName)
		r.expectSays(ctx, "20-global", beFailed(away))
		reportTime("the set said so after", begun)
		r.expectNowhere(ctx, "/unseen")
		Expect(r.thatHad("/unseen", started)).To(Equal([]string{"fleet-01", cluster.NodeName}))

		r.start(away)
		r.mirrors(ctx, "rollout resume") // which has the same rules tried again
		r.expectEverywhere(ctx, "/unseen")
		r.expectSays(ctx, "20-global", beApplied())
		r.open.expectNone(started)
	}, nodeTimeout)

	DescribeTable("goes on where it was after the manager was killed",
		func(ctx SpecContext, marker string, stage func(ctx SpecContext, marker string)) {
			r.apply(ctx, r.good(marker))
			stage(ctx, "/"+marker)
			killed := time.Now()
			given := r.killManager(ctx)
			r.expectEverywhere(ctx, "/"+marker)
			r.expectSays(ctx, "20-global", beApplied())
			if !strings.Contains(given, "/"+marker) {
				Expect(r.givenAt("/"+marker)).To(BeTemporally(">=", killed.Add(soak)), "the soak time begins anew")
			}
			r.open.expectNone(started)
		},
		Entry("once the canaries have a change", "killed-in-force", func(ctx SpecContext, marker string) { r.expectTried(ctx, marker, canaries...) }, nodeTimeout),
		Entry("while they soak", "killed-soaking", func(ctx SpecContext, marker string) {
			r.expectStage(ctx, marker, canaries...)
			Eventually(func(g Gomega) {
				g.Expect(r.last().canary).NotTo(BeNil())
				g.Expect(r.last().canary.Until.IsZero()).To(BeFalse())
			}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(10 * time.Millisecond).Should(Succeed())
		}, nodeTimeout),
		Entry("once the change went on to all nodes", "killed-promoted", func(ctx SpecContext, marker string) {
			Eventually(r.isGiven).WithArguments(marker).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(5 * time.Millisecond).Should(BeTrue())
		}, nodeTimeout),
	)

	It("remembers what it halted after the manager was killed", func(ctx SpecContext) {
		r.apply(ctx, r.typo("copie"))
		r.expectSays(ctx, "20-global", r.beFailedByTypo(cluster.NodeName, "/copie"))
		why := r.applied(ctx, "20-global").Message
		r.expectNowhere(ctx, "/copie")
		revision := r.fleet.published(ctx)
		r.killManager(ctx)
		Consistently(r.now).WithArguments("/copie").WithTimeout(soak).WithPolling(20 * time.Millisecond).Should(BeEmpty())
		r.expectSays(ctx, "20-global", beFailed(cluster.NodeName, why))
		Expect(r.fleet.published(ctx)).To(Equal(revision))
		r.apply(ctx, r.good("not-copie"))
		r.expectEverywhere(ctx, "/not-copie")
	}, nodeTimeout)

	It("begins anew with another change, and ends with one that takes it back", func(ctx SpecContext) {
		trying := r.try(ctx, "first-of-two")
		r.apply(ctx, r.good("second-of-two"))
		r.expectTried(ctx, "/second-of-two", trying...)
		r.start(lastCanary)
		r.expectEverywhere(ctx, "/second-of-two")
		Expect(r.thatHad("/first-of-two", started)).To(Equal(trying))
		r.expectSays(ctx, "20-global", beApplied())

		revision := r.fleet.published(ctx)
		r.try(ctx, "taken-back")
		r.apply(ctx, r.good("second-of-two"))
		r.expectNowhere(ctx, "/taken-back")
		r.start(lastCanary)
		r.expectSays(ctx, "20-global", beApplied())
		r.expectReported(ctx)
		Expect(r.fleet.published(ctx)).To(BeNumerically(">", revision), "an agent takes nothing older than what it has")
		Expect(r.thatHad("/taken-back", started)).To(Equal(trying))
		r.open.expectNone(started)
	}, nodeTimeout)

	It("undoes a change on all nodes at once, on those that are away once they are back, until it is resumed", func(ctx SpecContext) {
		r.apply(ctx, r.good("regretted"))
		r.expectEverywhere(ctx, "/regretted")
		r.expectSays(ctx, "20-global", beApplied())
		r.mirrors(ctx, "rollout history")
		away := []string{"fleet-01", "fleet-10"}
		for _, name := range away {
			r.stop(name)
		}
		undone := time.Now()
		r.mirrors(ctx, "rollout undo")
		r.expectTried(ctx, "/regretted", away...)
		reportTime("all nodes that were there had what was before after", undone)
		r.expectSays(ctx, "20-global", beWaiting(configv1.ReasonRolledBack))
		r.apply(ctx, r.good("meanwhile"))
		r.expectSays(ctx, "20-global", beWaiting(configv1.ReasonRolledBack))
		for _, name := range away {
			r.start(name)
		}
		r.expectNowhere(ctx, "/regretted")
		r.expectReported(ctx)
		Expect(r.thatHad("/meanwhile", started)).To(BeEmpty())
		Expect(r.kubectl(ctx, "get", "idms/20-global", "-o", "jsonpath={.spec}")).To(ContainSubstring("/meanwhile"), "no set is rewritten")

		r.mirrors(ctx, "rollout resume")
		r.expectTried(ctx, "/meanwhile", canaries...)
		r.expectEverywhere(ctx, "/meanwhile")
		r.expectSays(ctx, "20-global", beApplied())
		r.open.expectNone(started)
	}, nodeTimeout)

	It("stays as it is while it is paused, although the manager starts anew", func(ctx SpecContext) {
		const reason = "not before Monday"
		r.try(ctx, "paused")
		r.mirrors(ctx, "rollout pause --reason='"+reason+"'")
		r.start(lastCanary)
		r.expectTried(ctx, "/paused", canaries...)
		r.killManager(ctx)
		r.apply(ctx, r.good("held-back"))
		r.expectSays(ctx, "20-global", beWaiting(configv1.ReasonPaused, reason))
		Consistently(r.now).WithArguments("/paused").WithTimeout(soak + time.Second).WithPolling(20 * time.Millisecond).Should(Equal(canaries))
		Expect(r.thatHad("/held-back", started)).To(BeEmpty())
		Expect(r.rolloutStatus(ctx)).To(ContainSubstring(reason))

		r.mirrors(ctx, "rollout resume")
		r.expectTried(ctx, "/held-back", canaries...)
		r.expectEverywhere(ctx, "/held-back")
		r.expectSays(ctx, "20-global", beApplied())
		Expect(r.thatHad("/paused", started)).To(Equal(canaries))
		r.open.expectNone(started)
	}, nodeTimeout)

	It("follows the labels of canaries, and waits while there is none", func(ctx SpecContext) {
		r.usualCanaries()
		r.try(ctx, "relabelled")
		r.haveCanaries(ctx, "fleet-02", "fleet-03", cluster.NodeName)
		r.expectTried(ctx, "/relabelled", "fleet-03", cluster.NodeName)
		r.expectStage(ctx, "/relabelled", "fleet-02", "fleet-03", cluster.NodeName)
		r.haveCanaries(ctx)
		r.expectNowhere(ctx, "/relabelled")
		r.expectSays(ctx, "20-global", beWaiting(configv1.ReasonNoCanaries))
		r.haveCanaries(ctx, "fleet-04")
		r.expectTried(ctx, "/relabelled", "fleet-04")
		r.start(lastCanary)
		r.expectEverywhere(ctx, "/relabelled")
		r.expectSays(ctx, "20-global", beApplied())
		r.open.expectNone(started)
	}, nodeTimeout)

	It("tries a change again, and gives it to nobody else, after somebody deleted the ConfigMap", func(ctx SpecContext) {
		r.try(ctx, "deleted")
		gone := time.Now()
		r.kubectl(ctx, "delete", "configmap", "-n", namespace, "containers-registries.conf")
		r.start(lastCanary)
		r.expectEverywhere(ctx, "/deleted")
		r.expectSays(ctx, "20-global", beApplied())
		Expect(r.givenAt("/deleted")).To(BeTemporally(">=", gone.Add(soak)))
		r.open.expectNone(started)
	}, nodeTimeout)

	It("goes by stages again after etcd went back into the midst of one", func(ctx SpecContext) {
		r.expectStageRestored(ctx)
		r.open.expectNone(started)
	}, nodeTimeout)

	It("has never asked the source that was blocked all the time", func() {
		n, refused := r.shut.since(time.Time{})
		Expect(refused).To(HaveLen(n), "every pull is refused")
		AddReportEntry("pulls of what is blocked that were refused", fmt.Sprint(n), ReportEntryVisibilityAlways)
		Expect(r.instead.Load()).To(BeNumerically(">=", n), "each asked the mirror, which has nothing")
		r.seen.report([]*countedRegistry{r.closed, r.mirror, r.source})
		r.expectClosed()
	})
})
