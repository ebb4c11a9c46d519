// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// mirrors is the plugin as people call it; it returns what that printed.
func (r *rollout) mirrors(ctx context.Context, line string) string {
	GinkgoHelper()
	out := run(r.shell(ctx, "kubectl mirrors "+line))
	AddReportEntry("kubectl mirrors "+line, out, ReportEntryVisibilityAlways)
	return out
}

// rolloutStatus is what `kubectl mirrors rollout status` prints about a change that does not continue by itself.
func (r *rollout) rolloutStatus(ctx context.Context) string {
	GinkgoHelper()
	out, err := r.shell(ctx, "kubectl mirrors rollout status").CombinedOutput()
	AddReportEntry("kubectl mirrors rollout status", string(out), ReportEntryVisibilityAlways)
	Expect(err).To(HaveOccurred())
	return string(out)
}

// expectTried waits until the canaries, and they alone, have what has a marker.
func (r *rollout) expectTried(ctx context.Context, marker string, names ...string) {
	GinkgoHelper()
	Eventually(r.now).WithArguments(marker).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(10 * time.Millisecond).Should(Equal(names))
}

// expectEverywhere waits until all nodes have what has a marker, and say so.
func (r *rollout) expectEverywhere(ctx context.Context, marker string) {
	GinkgoHelper()
	Eventually(r.now).WithArguments(marker).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(10 * time.Millisecond).Should(HaveLen(len(r.nodes)))
	r.expectReported(ctx)
}

// expectNowhere waits until no node has what has a marker.
func (r *rollout) expectNowhere(ctx context.Context, marker string) {
	GinkgoHelper()
	Eventually(r.now).WithArguments(marker).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(10 * time.Millisecond).Should(BeEmpty())
}

// expectStage waits until a change with a marker is published for these nodes.
func (r *rollout) expectStage(ctx context.Context, marker string, names ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		canary := r.last().canary
		g.Expect(canary).NotTo(BeNil())
		g.Expect(string(canary.Text)).To(ContainSubstring(marker))
		g.Expect(canary.Nodes).To(Equal(names))
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(10 * time.Millisecond).Should(Succeed())
}

// beFailed matches the condition of a set whose change did not get beyond the canaries; others match that it waits for something else.
func beFailed(node string, parts ...string) types.GomegaMatcher {
	return beWaiting(configv1.ReasonCanaryFailed, append([]string{node}, parts...)...)
}

// beFailedByTypo is for a canary that can have no image of the source by a change with a marker: it finds that out by trying the image that
// runs there, or by the pulls of another one that fail there, whichever is sooner.
func (r *rollout) beFailedByTypo(node, marker string) types.GomegaMatcher {
	return Or(beFailed(node, r.running, r.mirror.host+marker), beFailed(node, r.pulled))
}

func beWaiting(reason string, parts ...string) types.GomegaMatcher {
	return HaveValue(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", reason), HaveField("Message", And(containAll(parts)...))))
}

// expectSays waits until a set says so, and reports what it says.
func (r *rollout) expectSays(ctx context.Context, name string, matcher types.GomegaMatcher) {
	GinkgoHelper()
	r.expectApplied(ctx, name, matcher)
	AddReportEntry(name+" says", r.applied(ctx, name).Reason+": "+r.applied(ctx, name).Message, ReportEntryVisibilityAlways)
}

// isGiven reports whether what all nodes are given has a marker.
func (r *rollout) isGiven(marker string) bool {
	return strings.Contains(string(r.last().fleet.Text), marker)
}

// givenAt returns when it was published for all nodes that they have what has a marker.
func (r *rollout) givenAt(marker string) time.Time {
	GinkgoHelper()
	all := r.publishedSince(time.Time{})
	at := slices.IndexFunc(all, func(p publication) bool { return strings.Contains(string(p.fleet.Text), marker) })
	Expect(at).To(BeNumerically(">=", 0), marker)
	return all[at].at
}

// expectClosed wants that nobody came to the registry that is blocked.
func (r *rollout) expectClosed() {
	GinkgoHelper()
	connections, requests := r.seen.count(r.closed.name)
	Expect(requests).To(BeZero())
	Expect(connections).To(BeZero())
}

func listed(names []string) string {
	return fmt.Sprintf("%d: %s", len(names), strings.Join(names, ", "))
}

// expectHalted waits until a set says that a canary failed with what has a marker, because of the image that runs there, and wants that none but
// canaries ever had it, and that these have it no more.
func (r *rollout) expectHalted(ctx context.Context, marker string, since time.Time, node string, of ...string) {
	GinkgoHelper()
	r.expectSays(ctx, "20-global", r.beFailedByTypo(node, marker))
	reportTime("the set said why after", since)
	r.expectNowhere(ctx, marker)
	reportTime("no node had it any more after", since)
	AddReportEntry("nodes that ever had it", listed(r.thatHad(marker, since)), ReportEntryVisibilityAlways)
	Expect(of).To(ContainElements(r.thatHad(marker, since)))
	Expect(r.last().canary).To(BeNil())
	Expect(r.last().rollout.Halted).To(HaveField("Node", node))
	Eventually(func() string { return r.kubectl(ctx, "get", "events.events.k8s.io", "-A") }).WithContext(ctx).WithTimeout(convergeTimeout).
		Should(MatchRegexp(`CanaryFailed +imagedigestmirrorset/20-global`))
}

// expectStageRestored saves etcd while canaries try a change, has the nodes go on, and restores it.
func (r *rollout) expectStageRestored(ctx context.Context) {
	GinkgoHelper()
	r.try(ctx, "restored")
	saved, err := r.SaveEtcd(ctx)
	Expect(err).NotTo(HaveOccurred())
	r.start(lastCanary)
	r.churn(ctx)
	r.expectEverywhere(ctx, "/restored")
	r.apply(ctx, r.good("lost"))
	r.expectEverywhere(ctx, "/lost")
	inForce := r.fleet.published(ctx)

	restored := time.Now()
	Expect(r.RestoreEtcd(ctx, saved)).To(Succeed())
	reportTime("etcd was restored, and the node Ready, after", restored)
	r.expectNowhere(ctx, "/lost")
	r.expectEverywhere(ctx, "/restored")
	reportTime("all nodes followed the restored sets after", restored)
	Expect(r.fleet.published(ctx)).To(BeNumerically(">", inForce))
	r.expectSays(ctx, "20-global", beApplied())

	r.apply(ctx, r.good("after"))
	r.expectTried(ctx, "/after", canaries...)
	r.expectEverywhere(ctx, "/after")
}
