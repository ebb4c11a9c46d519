// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("An API server that is away", func() {
	It("changes nothing on the nodes, whose agents repair and start without it, and is followed when it is back", func(ctx SpecContext) {
		steady, restarted := newNode(), newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, steady)
		agent := startAgent(ctx, restarted)
		s := set("a", entry("quay.io", "m1.local"))
		create(ctx, s)
		for _, n := range []*node{steady, restarted} {
			n.wantRules(s)
		}

		Expect(plane.StopAPIServer()).To(Succeed())
		back := false
		DeferCleanup(func() {
			if !back {
				Expect(plane.StartAPIServer()).To(Succeed())
			}
		})
		Expect(agent.Stop()).To(Succeed())
		restarted.remove(dropIn)
		steady.remove(dropIn)
		steady.wantRules(s)
		successor, err := agent.Again()
		Expect(err).NotTo(HaveOccurred())
		track("agent", successor)
		restarted.wantRules(s)
		restarted.put(dropIn, rendered(set("x", entry("x.com", "m.local"))))
		restarted.wantRules(s)

		Expect(plane.StartAPIServer()).To(Succeed())
		back = true
		change(ctx, s, entry("quay.io", "m2.local"))
		for _, n := range []*node{steady, restarted} {
			Eventually(n.rules).Should(Equal(rendered(s)))
		}
		b := set("b", entry("ghcr.io", "m2.local"))
		create(ctx, b)
		steady.wantRules(s, b)
		restarted.wantRules(s, b)
		Expect(manager.Exited()).NotTo(BeClosed())
	})
})
