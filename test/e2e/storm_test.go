// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// storm is how many sets there are.
const storm = 500

var _ = Describe("many sets", Ordered, func() {
	var f *fleet

	BeforeAll(func(ctx SpecContext) {
		// More of them would be about this machine's processors. Of an API server as old as 1.30, clients list what they then watch.
		f = startFleet(ctx, 3, "KUBE_FEATURE_WatchListClient=false")
	}, setUpTimeout)

	BeforeEach(func() {
		DeferCleanup(func(ctx SpecContext) { f.deleteSets(ctx) }, cleanUpTimeout) // after what the spec itself cleans up
	})

	AfterEach(func(ctx SpecContext) { f.tellState(ctx) }, cleanUpTimeout)

	It("cost one write of what is published, and few of a status, for each that changes", func(ctx SpecContext) {
		var manifests []string
		for i := range storm {
			manifests = append(manifests, set(fmt.Sprintf("set-%03d", i), fmt.Sprintf("registry-%03d.example.com", i), "mirror.example.com"))
		}
		before, started := f.writes(ctx), time.Now()
		f.apply(ctx, manifests...)
		reportTime(fmt.Sprintf("kubectl apply of %d sets took", storm), started)
		Eventually(f.notApplied).WithArguments(ctx).WithTimeout(convergeTimeout).WithPolling(300 * time.Millisecond).Should(BeZero())
		reportTime("all were Applied after", started)
		f.expectFollowed(ctx, time.Second)
		spent := f.writes(ctx).since(before)
		spent.report(fmt.Sprintf("%d new sets", storm))
		Expect(spent.Sets).To(BeNumerically("<=", 3*storm))
		Expect(spent.ConfigMaps).To(BeNumerically("<=", storm/4), "many sets at once are few revisions")

		before, started = f.writes(ctx), time.Now()
		f.apply(ctx, set("set-250", "registry-250.example.com", "mirror.example.com/changed"))
		f.expectApplied(ctx, "set-250", beApplied())
		reportTime(fmt.Sprintf("one changed set of %d was Applied after", storm), started)
		Consistently(func() writes { return f.writes(ctx).since(before) }).WithTimeout(10 * time.Second).WithPolling(time.Second).
			Should(And(HaveField("Sets", BeNumerically("<=", 6)), HaveField("ConfigMaps", 1)))
		f.writes(ctx).since(before).report(fmt.Sprintf("one changed set of %d", storm))
	}, nodeTimeout)
})
