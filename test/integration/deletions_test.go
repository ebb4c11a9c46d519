// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// deletionTries is how often each of the numbers of sets is deleted; $DELETION_TRIES asks for more.
func deletionTries() int {
	if tries, err := strconv.Atoi(os.Getenv("DELETION_TRIES")); err == nil {
		return tries
	}
	return 2
}

// The manager publishes once a second at the most, and here it is stopped now and then, so a watch sees revisions in which some of
// the sets are still there.
var _ = Describe("kubectl mirrors nodes --watch after sets were deleted", func() {
	DescribeTable("ends when the node has none of them any more", func(ctx SpecContext, count int) {
		n := newNode()
		manager := startManager(ctx, alone)
		startAgent(ctx, n)
		for try := range deletionTries() {
			var sets []*configv1.ImageDigestMirrorSet
			for i := range count {
				sets = append(sets, set(fmt.Sprintf("s%d-%d", try, i), entry(fmt.Sprintf("s%d.com", i), "m.local")))
			}
			create(ctx, sets...)
			n.wantRules(sets...)

			Expect(manager.Send(syscall.SIGSTOP)).To(Succeed())
			going := make(chan error, 1)
			go func() {
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
				going <- manager.Send(syscall.SIGCONT)
			}()
			for _, s := range sets {
				Expect(admin.Delete(ctx, s)).To(Succeed())
				time.Sleep(time.Duration(rand.IntN(600/count+1)) * time.Millisecond)
			}
			out, code := runMirrors(ctx, "nodes", "--watch", "--timeout=30s")
			left, err := n.rules()
			Expect(code).To(Equal(0), out)
			Expect(err).NotTo(HaveOccurred())
			Expect(left).To(BeEmpty(), "try %d ended with\n%s", try, out)
			Expect(<-going).To(Succeed())
		}
	},
		Entry("one", 1), Entry("three", 3), Entry("fifty", 50),
	)
})
