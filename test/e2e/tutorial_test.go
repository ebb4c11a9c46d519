// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mirrorset/mirrorset/test/cluster"
)

var _ = Describe("The commands of docs/tutorial/first-mirror.md", func() {
	It("start a Pod from a mirror without TLS, and show that the mirror served it", func(ctx SpecContext) {
		s := newSite(ctx)
		mirror := startRegistry("first mirror", s.seen) // which only the sets of the page call insecure
		image, _ := newImage(ctx)
		mirror.push(ctx, "library/nginx", image)
		name := s.source.host + "/library/nginx:1"
		w := s.walk(document("docs/tutorial/first-mirror.md"), []string{"mirror.yaml", "sets.yaml"},
			"nginx:alpine", "nginx:1", "docker.io", s.source.host, "192.0.2.10:5000", mirror.host, "node-1", cluster.NodeName)
		DeferCleanup(func(ctx SpecContext) {
			s.kubectl(ctx, "delete", "pod/hello", "--ignore-not-found", "--now")
			s.deleteSets(ctx)
		}, cleanUpTimeout)

		w.next(ctx, "kubectl wait --for=condition=RuntimeReady", "kubectl apply -f sets.yaml", "kubectl wait --for=condition=Applied")
		Expect(w.next(ctx, "kubectl get idms,itms")).To(And(MatchRegexp(`imagedigestmirrorset\S+/first +1 +1 +True +True`), MatchRegexp(`imagetagmirrorset\S+/first +1 +1 +True +True`)))
		Expect(w.next(ctx, "kubectl mirrors explain")).To(MatchRegexp(`(?m)^1 +%s/library/nginx:1 +itms/first\[0\]$\n^2 +%s +<image reference>$`, mirror.host, name))
		s.seen.forget()
		w.next(ctx, "kubectl run hello", "kubectl wait --for=condition=Ready")
		Expect(w.next(ctx, "kubectl mirrors pulls "+cluster.NodeName)).To(MatchRegexp(`(?m)^\S+ +%s +%s/library/nginx +<none> +[1-9][0-9]* `, name, mirror.host))
		s.expectAsked(mirror)
		w.next(ctx, "kubectl delete")
		w.expectEnd()
		Eventually(s.remains).WithContext(ctx).WithTimeout(convergeTimeout).Should(BeEmpty(), "files of rules on the node")
	}, nodeTimeout)
})
