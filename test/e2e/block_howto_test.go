// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
)

var _ = Describe("The commands of docs/how-to/block-a-registry.md", func() {
	It("close a registry for all, show whom it refuses, and open it for what a mirror has", func(ctx SpecContext) {
		s := newScene(ctx) // whose mirror this machine can ask without a certificate
		image, _ := newImage(ctx)
		s.source.push(ctx, "team/app", image)
		s.source.push(ctx, "team/running", image)
		s.mirror.push(ctx, "quay/team/app", image)
		reference := s.source.host + "/team/app:1"
		w := s.walk(howTo("block-a-registry.md"), []string{"block.yaml", "mirrors.yaml"},
			"kubectl mirrors check quay.io", "kubectl mirrors check --insecure-registry="+s.mirror.host+" "+s.source.host,
			"quay.io", s.source.host, "registry.corp.example:5000", s.mirror.host, "node-1", cluster.NodeName)
		DeferCleanup(func(ctx SpecContext) {
			s.kubectl(ctx, "delete", "pod/tried", "pod/allowed", "--ignore-not-found", "--now")
			s.deleteSets(ctx)
		}, cleanUpTimeout)

		By("asking what it would break")
		running := expectRunning(ctx, s.Cluster, createPod(ctx, s.Cluster, s.source.host+"/team/running:1", true))
		w.nextSays(ctx, "kubectl mirrors check --pods --what-if", 1, MatchRegexp(`%s +\S+/%s +<none> +Refused `, running.Spec.Containers[0].Image, running.Name))

		By("blocking it")
		w.next(ctx, "kubectl apply -f block.yaml", "kubectl wait --for=condition=Applied")
		Expect(w.next(ctx, "kubectl mirrors explain")).To(And(ContainSubstring("quay[0]"), Not(ContainSubstring("PULL SOURCE"))))
		s.seen.forget()
		w.next(ctx, "kubectl run tried")
		w.nextSays(ctx, "kubectl mirrors why tried", 1, MatchRegexp(`BlockedForGood(.|\n)*quay`))
		w.nextSays(ctx, "kubectl mirrors pulls "+cluster.NodeName, 0, MatchRegexp(`(?m)%s +<none> .* quay$`, reference))
		w.next(ctx, "kubectl delete pod tried")
		Expect(s.seen.asked()).To(BeEmpty())

		By("allowing what a mirror has")
		w.next(ctx, "kubectl apply -f mirrors.yaml", "kubectl wait --for=condition=Applied", "kubectl mirrors check")
		w.next(ctx, "kubectl run allowed", "kubectl wait --for=condition=Ready")
		s.expectUntouched(s.source, s.second)

		By("opening it")
		w.next(ctx, "kubectl delete")
		Expect(w.next(ctx, "kubectl mirrors explain")).To(MatchRegexp(`(?m)^1 +%s +<image reference>$`, reference))
		w.expectEnd()
	}, nodeTimeout)
})
