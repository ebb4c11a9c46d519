// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
)

// rolloutHowTo is docs/how-to/rollouts.md, gone through on the shared node, which is both canaries and all other nodes.
type rolloutHowTo struct {
	*scene
	*walk
}

func newRolloutHowTo(ctx context.Context) *rolloutHowTo {
	GinkgoHelper()
	s := newScene(ctx)
	h := &rolloutHowTo{scene: s, walk: s.walk(howTo("rollouts.md"), []string{"mirrors.yaml", "wrong.yaml"},
		"node-1 node-2", cluster.NodeName, "SOAK=5m", "SOAK=5s", "registry.corp.example:5000", s.mirror.host, "quay.io", s.source.host)}
	DeferCleanup(func(ctx SpecContext) {
		for _, line := range []string{ // whatever the spec left
			"kubectl -n mirrorset-system set env deployment/mirrorset-manager MIRRORSET_CANARY_SELECTOR- MIRRORSET_CANARY_SOAK-",
			"kubectl -n mirrorset-system rollout status --timeout=2m deployment/mirrorset-manager",
			"kubectl label node " + cluster.NodeName + " mirrorset.io/canary-",
			"kubectl -n mirrorset-system annotate configmap/containers-registries.conf mirrorset.io/paused- mirrorset.io/undone- mirrorset.io/halted-",
		} {
			run(h.command(ctx, line))
		}
		h.deleteSets(ctx)
	}, cleanUpTimeout)
	return h
}

// expectSet waits until the set of the page has this reason in its condition Applied, and a message with all of the parts.
func (h *rolloutHowTo) expectSet(ctx context.Context, reason string, parts ...string) {
	GinkgoHelper()
	Eventually(func() string {
		return h.kubectl(ctx, "get", "idms/corp", "-o", `jsonpath={.status.conditions[?(@.type=="Applied")]}`)
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(200 * time.Millisecond).Should(And(containAll(append(parts, `"reason":"`+reason+`"`))...))
}

// expectNodeHas waits until the node's registries.conf names the one mirror and not the other.
func (h *rolloutHowTo) expectNodeHas(ctx context.Context, mirror, other string) {
	GinkgoHelper()
	Eventually(func() (string, error) {
		text, err := os.ReadFile(h.Path(dropIn))
		return string(text), err
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(50 * time.Millisecond).Should(And(ContainSubstring(mirror), Not(ContainSubstring(other))))
}

var _ = Describe("The commands of docs/how-to/rollouts.md", func() {
	It("try a change on canaries, halt a wrong one, pause and undo", func(ctx SpecContext) {
		h := newRolloutHowTo(ctx)
		image, digest := newImage(ctx)
		h.source.push(ctx, "team/app", image)
		h.mirror.push(ctx, "quay/team/app", image)
		good, wrong := h.mirror.host+"/quay/team", h.mirror.host+"/quy/team"

		By("turning canaries on")
		h.next(ctx, "kubectl label", "kubectl -n mirrorset-system set env", "kubectl -n mirrorset-system rollout status")

		By("changing a set")
		h.next(ctx, "kubectl apply -f mirrors.yaml", "kubectl mirrors rollout status")
		h.expectSet(ctx, "AppliedOnAllNodes")
		expectRunning(ctx, h.Cluster, createPod(ctx, h.Cluster, h.source.host+"/team/app"+digest, true))

		By("halting a change")
		h.next(ctx, "kubectl apply -f wrong.yaml")
		h.nextSays(ctx, "kubectl mirrors rollout status", 1, And(ContainSubstring(cluster.NodeName), ContainSubstring(wrong+"/app")))
		h.nextSays(ctx, "kubectl get idms corp -o wide", 0, And(ContainSubstring("CanaryFailed"), ContainSubstring("canary "+cluster.NodeName+" failed with this change"), ContainSubstring(wrong+"/app")))
		h.nextSays(ctx, "kubectl describe idms corp", 0, And(ContainSubstring("Stalled"), ContainSubstring("CanaryFailed"), ContainSubstring("404")))
		h.expectNodeHas(ctx, good, wrong)
		h.next(ctx, "kubectl apply -f mirrors.yaml", "kubectl mirrors rollout status")
		h.expectSet(ctx, "AppliedOnAllNodes")

		By("pausing")
		h.next(ctx, "kubectl mirrors rollout pause")
		run(h.command(ctx, `sed 's|/quay/team|&, `+h.second.host+`/quay/team|' mirrors.yaml | kubectl apply -f -`))
		h.expectSet(ctx, "Paused", "no changes before Monday 8:00")
		h.expectNodeHas(ctx, good, h.second.host)
		h.next(ctx, "kubectl mirrors rollout resume")
		h.expectNodeHas(ctx, h.second.host, wrong)
		run(h.command(ctx, "kubectl mirrors rollout status --timeout=2m"))

		By("undoing")
		Expect(h.next(ctx, "kubectl mirrors rollout history")).To(ContainSubstring("corp"))
		Expect(h.next(ctx, "kubectl mirrors rollout undo --dry-run=client")).To(ContainSubstring("(dry run)"))
		h.expectSet(ctx, "AppliedOnAllNodes")
		h.next(ctx, "kubectl mirrors rollout undo --reason")
		h.expectNodeHas(ctx, good, h.second.host)
		h.expectSet(ctx, "RolledBack", "cannot be pulled")
		h.nextSays(ctx, "kubectl mirrors rollout status --watch=false", 1, ContainSubstring("cannot be pulled"))
		run(h.command(ctx, "kubectl apply -f mirrors.yaml"))
		h.next(ctx, "kubectl mirrors rollout resume", "kubectl mirrors rollout status")
		h.expectSet(ctx, "AppliedOnAllNodes")

		By("turning canaries off")
		h.next(ctx, "kubectl -n mirrorset-system set env", "kubectl -n mirrorset-system rollout status", "kubectl label")
		h.expectEnd()
	}, nodeTimeout)
})
