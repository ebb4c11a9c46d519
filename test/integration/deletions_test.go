// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/agent"
	"github.com/mirrorset/mirrorset/internal/agent/runtimes"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// deletionTries is how often each of the numbers of sets is deleted; $DELETION_TRIES asks for more.
func deletionTries() int {
	if tries, err := strconv.Atoi(os.Getenv("DELETION_TRIES")); err == nil {
		return tries
	}
	return 2
}

var sinks = runtimes.Flags(flag.NewFlagSet("", flag.PanicOnError))

// The manager publishes once a second at the most, and here it is stopped for a while, so a watch sees revisions in which some of
// the sets are still there.
var _ = Describe("kubectl mirrors nodes --watch after sets were deleted", func() {
	DescribeTable("ends when the node has none of them any more", func(ctx SpecContext, count int) {
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		var falseEnds []string
		between := 0 // tries in which the watch saw a revision that still had some of the sets
		for try := range deletionTries() {
			sets := blockedSets(try, count)
			create(ctx, sets...)
			n.wantRules(sets...)
			Expect(agent.CheckClean(n.root, sinks)).NotTo(Succeed())

			going := pause(manager)
			for _, s := range sets {
				Expect(admin.Delete(ctx, s)).To(Succeed())
				time.Sleep(time.Duration(rand.IntN(1200/count+1)) * time.Millisecond)
			}
			out, code := runMirrors(ctx, "nodes", "--watch", "--timeout=60s")
			left := agent.CheckClean(n.root, sinks)
			Expect(code).To(Equal(0), out)
			if left != nil {
				falseEnds = append(falseEnds, fmt.Sprintf("try %d: %v, and the watch had ended with\n%s", try, left, out))
			}
			if strings.Count(out, "\nnode-1 ") > 1 {
				between++
			}
			Expect(<-going).To(Succeed())
		}
		AddReportEntry("Tries", fmt.Sprintf("%d, of which %d saw nodes on their way, and %d ended too soon", deletionTries(), between, len(falseEnds)))
		Expect(falseEnds).To(BeEmpty())
	},
		Entry("one", 1), Entry("three", 3), Entry("fifty", 50),
	)

	It("waits for what is deleted after it began, too", func(ctx SpecContext) {
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		sets := blockedSets(0, 2)
		create(ctx, sets...)
		n.wantRules(sets...)
		Expect(manager.Send(syscall.SIGSTOP)).To(Succeed())
		Expect(admin.Delete(ctx, sets[0])).To(Succeed())
		stderr := gbytes.NewBuffer()
		watch := mirrorsCommand(ctx, "nodes", "--watch", "--timeout=60s")
		watch.Stderr = stderr
		Expect(watch.Start()).To(Succeed())
		Eventually(stderr).Should(gbytes.Say("Waiting: the manager has not yet published the latest change or deletion of a set"))
		Expect(admin.Delete(ctx, sets[1])).To(Succeed())
		Expect(manager.Send(syscall.SIGCONT)).To(Succeed())
		Expect(watch.Wait()).To(Succeed())
		Expect(agent.CheckClean(n.root, sinks)).To(Succeed())
	})

	It("ends also where the text is the same without the set, and leaves the revision as it is", func(ctx SpecContext) {
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		a, empty := set("a", entry("s.com", "m.local")), set("empty")
		create(ctx, a, empty)
		out, code := runMirrors(ctx, "nodes", "--watch", "--timeout=60s")
		Expect(code).To(Equal(0), out)
		before, writes := mustPublished(ctx), strings.Count(manager.Log(), `"msg":"Published"`)
		Expect(admin.Delete(ctx, empty)).To(Succeed())
		out, code = runMirrors(ctx, "nodes", "--watch", "--timeout=60s")
		Expect(code).To(Equal(0), out)
		after := mustPublished(ctx)
		Expect(after.Revision).To(Equal(before.Revision))
		Expect(after.Sets).NotTo(Equal(before.Sets))
		Eventually(func() int { return strings.Count(manager.Log(), `"msg":"Published"`) }).Should(Equal(writes + 1)) // which is logged after the write
		n.keepsRules(a)
	})
})

// blockedSets are sets that a node needs both a drop-in and files of containerd for.
func blockedSets(try, count int) (sets []*configv1.ImageDigestMirrorSet) {
	for i := range count {
		e := entry(fmt.Sprintf("s%d.com", i), "m.local")
		e.MirrorSourcePolicy = configv1.NeverContactSource
		sets = append(sets, set(fmt.Sprintf("s%d-%d", try, i), e))
	}
	return sets
}

// pause stops a process, and lets it go on after a random time of up to a second.
func pause(p *controlplane.Process) (going <-chan error) {
	GinkgoHelper()
	Expect(p.Send(syscall.SIGSTOP)).To(Succeed())
	sent := make(chan error, 1)
	go func() {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		sent <- p.Send(syscall.SIGCONT)
	}()
	return sent
}
