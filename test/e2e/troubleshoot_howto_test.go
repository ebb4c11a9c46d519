// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
)

var _ = Describe("The commands of docs/how-to/troubleshoot.md", func() {
	It("name a blocked tag and a certificate that is not trusted, and find nothing wrong with the node", func(ctx SpecContext) {
		s := newSite(ctx)
		own := newOwnCA("localhost")
		mirror := startTLSRegistry("mirror of an authority that nobody trusts", "localhost", own.certificate, nil, s.seen)
		image, digest := newImage(ctx)
		mirror.push(ctx, "quay/team/app", image)
		named := s.source.host + "/team/app"
		s.apply(ctx, []string{mirrored("source")}, never("corp", s.source.host+"/team", mirror.host+"/quay/team"))
		pod := s.refusedPod(ctx, named+":1")
		w := s.walk(howTo("troubleshoot.md"), nil, "why app", "why "+pod.Name, "--cluster-credentials quay.io/team/app:1", "--cluster-credentials "+named+digest,
			"quay.io", s.source.host, "node-1", cluster.NodeName)
		inForce := MatchRegexp(`(?m)^%s .*InForce`, cluster.NodeName)
		refused := MatchRegexp(`(?m)^\S+ +%s:1 +<none> .* corp `, named)

		w.next(ctx, "kubectl mirrors doctor")
		w.nextSays(ctx, "kubectl mirrors why", 1, MatchRegexp(`Cause: +BlockedTag: `))
		Expect(w.next(ctx, "kubectl get idms corp -o jsonpath")).To(HavePrefix("BlocksTagPulls\t"))
		w.nextSays(ctx, "kubectl mirrors check --cluster-credentials", 1, And(ContainSubstring("x509: "), ContainSubstring("mirror-authorities")))
		Expect(w.next(ctx, "kubectl mirrors pulls")).To(refused)
		w.next(ctx, "kubectl get mirrornode "+cluster.NodeName)
		Expect(w.next(ctx, "kubectl mirrors explain")).To(And(ContainSubstring("corp[0]"), Not(ContainSubstring("PULL SOURCE"))))
		Expect(w.next(ctx, "kubectl mirrors pulls")).To(refused)
		w.next(ctx, "kubectl mirrors doctor "+cluster.NodeName)
		w.nextSays(ctx, "kubectl get idms,itms -o wide", 0, MatchRegexp(`/corp +1 +1 +True +True +\S+ +AppliedOnAllNodes`))
		w.next(ctx, "kubectl mirrors rollout status")
		Expect(w.next(ctx, "kubectl describe idms corp")).To(ContainSubstring("MirrorsReachable"))
		Expect(w.next(ctx, "kubectl get mirrornodes", "kubectl get nodes", "kubectl -n mirrorset-system get pods")).To(And(ContainSubstring(cluster.NodeName), ContainSubstring("mirrorset-agent-")))
		Expect(w.next(ctx, "kubectl mirrors nodes")).To(inForce)
		Expect(w.next(ctx, "kubectl -n mirrorset-system get deployment,pods")).To(MatchRegexp(`deployment.apps/mirrorset-manager +1/1`))
		w.next(ctx, "kubectl -n mirrorset-system get events", "kubectl -n mirrorset-system logs deployment/mirrorset-manager")
		w.expectEnd()
	}, nodeTimeout)
})
