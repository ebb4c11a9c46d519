// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	criv1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// serverKills is how often the process that serves is killed.
	serverKills = 20
	// pullRate is how many pulls begin in a second, and pullsAtOnce how many are under way at most.
	pullRate, pullsAtOnce = 50, 50
	// pullBound is far above what a pull takes, and far below what one takes that waits for idle connections to end.
	pullBound = 10 * time.Second
	// mostConnections is more than what was seen (247), and far less than what the redirector has room for (1,024).
	mostConnections = 400
	// mostLost is how many pulls may fail while the process that serves is killed. None was seen to. But a request that it has read and not yet answered
	// is lost with it, and containerd sends it again only on a connection that it had used before, which the first one of a pull is not.
	mostLost = 2
)

// again has containerd pull an image that may be there, as for each Pod with imagePullPolicy Always: it asks the registry what the name is now.
func (c *containerdClient) again(ctx context.Context, reference string) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	began := time.Now()
	_, err = c.images.PullImage(ctx, &criv1.PullImageRequest{Image: &criv1.ImageSpec{Image: reference}})
	return time.Since(began), err
}

// partly has a registry of which one repository is blocked, and returns an image of an open one, and one of that. It counts the requests for the
// blocked one that reach the source.
func (s *site) partly(ctx context.Context) (open, shut string, reached *atomic.Int64) {
	GinkgoHelper()
	image, _ := newImage(ctx)
	s.source.push(ctx, "open/app", image)
	s.source.push(ctx, "shut/app", image)
	reached = &atomic.Int64{}
	s.source.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/shut/") {
			reached.Add(1)
		}
		return false
	}
	s.apply(ctx, []string{mirrored("source")}, never("30-airgap", s.source.host+"/shut", s.first.host+"/shut"))
	return s.source.host + "/open/app:1", s.source.host + "/shut/app:1", reached
}

// gap is what pulls found, one after the other, of an open image and of a blocked one.
type gap struct {
	open, failed, refused, let int
	longest                    time.Duration // from the first failure of a row to the next success
	errs                       []error
}

func (g gap) report(when string) {
	AddReportEntry(when, fmt.Sprintf("%d of %d pulls of an open image failed, for %s at most; %d of a blocked one were refused, %d let through",
		g.failed, g.open, g.longest.Round(time.Millisecond), g.refused, g.let), ReportEntryVisibilityAlways)
}

// pullsBoth pulls an open image and a blocked one over and over, until the returned function is called.
func pullsBoth(ctx context.Context, cri *containerdClient, open, shut string) (end func() gap) {
	var g gap
	var pulling sync.WaitGroup
	ends := make(chan struct{})
	pulling.Go(func() {
		var since time.Time
		for ctx.Err() == nil {
			select {
			case <-ends:
				return
			default:
			}
			_, err := cri.again(ctx, open)
			g.open++
			switch {
			case err != nil && since.IsZero():
				since = time.Now()
				fallthrough
			case err != nil:
				g.failed++
				g.errs = append(g.errs, err)
			case !since.IsZero():
				g.longest, since = max(g.longest, time.Since(since)), time.Time{}
			}
			if _, err := cri.again(ctx, shut); err != nil {
				g.refused++
			} else {
				g.let++
			}
		}
	})
	return func() gap {
		close(ends)
		pulling.Wait()
		return g
	}
}

var _ = Describe("pulls while the agent is killed or replaced", func() {
	It("of an open repository of a partly blocked registry hardly fail, and none reaches what is blocked", func(ctx SpecContext) {
		s := newSite(ctx)
		cri := connect(ctx, s.Socket("/run/containerd/containerd.sock"), "")
		open, shut, reached := s.partly(ctx)

		end := pullsBoth(ctx, cri, open, shut)
		for range serverKills {
			before := s.agentProcess()
			time.Sleep(1200 * time.Millisecond) // one that crashes sooner is the kubelet's
			Expect(syscall.Kill(before, syscall.SIGKILL)).To(Succeed())
			Eventually(s.findAgentProcess).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(5 * time.Millisecond).ShouldNot(Or(BeZero(), Equal(before)))
		}
		killed := end()
		killed.report(fmt.Sprintf("while the process that serves was killed %d times", serverKills))
		Expect(killed.failed).To(BeNumerically("<=", mostLost), "only what was being answered is lost: %v", errors.Join(killed.errs...))
		Expect(fmt.Sprint(killed.errs)).NotTo(ContainSubstring("connection refused"))

		end = pullsBoth(ctx, cri, open, shut)
		s.kubectl(ctx, "rollout", "restart", "-n", namespace, "daemonset/mirrorset-agent")
		s.expectReady(ctx)
		replaced := end()
		replaced.report("while the agent's Pod was replaced by a rollout")
		Expect(replaced.failed).To(BeNumerically("<=", 1), "only what the old agent had yet to take is lost: %v", errors.Join(replaced.errs...))
		Eventually(s.pods).WithArguments(ctx).WithTimeout(convergeTimeout).WithPolling(100*time.Millisecond).Should(HaveLen(2), "the old Pod goes")

		end = pullsBoth(ctx, cri, open, shut)
		Expect(s.killProcess(ctx, "agent")).To(Succeed())
		Eventually(func() error { _, err := cri.again(ctx, open); return err }).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(50 * time.Millisecond).Should(Succeed())
		container := end()
		container.report("while the container was killed once")

		for _, g := range []gap{killed, replaced, container} {
			Expect(g.open).To(BeNumerically(">", 0))
			Expect(g.let).To(BeZero(), "pulls of a blocked image")
		}
		Expect(reached.Load()).To(BeZero(), "requests for the blocked repository at the source")
	}, nodeTimeout)

	It("go on at 50 a second for a minute, and none waits", func(ctx SpecContext) {
		s := newSite(ctx)
		cri := connect(ctx, s.Socket("/run/containerd/containerd.sock"), "")
		open, _, _ := s.partly(ctx)
		image, _ := newImage(ctx)
		s.third.push(ctx, "open/app", image)
		direct := s.manyPulls(ctx, cri, s.third.host+"/open/app:1", 10*time.Second)
		direct.report("pulls from a registry without rules")
		Expect(errors.Join(direct.failed...)).NotTo(HaveOccurred())

		redirected := s.manyPulls(ctx, cri, open, time.Minute)
		redirected.report("pulls through the redirector")
		Expect(errors.Join(redirected.failed...)).NotTo(HaveOccurred())
		Expect(redirected.took[len(redirected.took)-1]).To(BeNumerically("<", pullBound))
		Expect(redirected.most).To(And(BeNumerically(">", 0), BeNumerically("<=", mostConnections)))
	}, nodeTimeout)
})

// many is what became of many pulls.
type many struct {
	took       []time.Duration // from the shortest to the longest
	failed     []error
	all        time.Duration
	most, last int // connections at the redirector
}

func (m *many) report(what string) {
	at := func(percent int) time.Duration { return m.took[(len(m.took)-1)*percent/100].Round(time.Millisecond) }
	AddReportEntry(what, fmt.Sprintf("%d in %s: median %s, 99th percentile %s, longest %s; %d failed; the redirector held %d connections at most, %d in the end",
		len(m.took), m.all.Round(time.Second), at(50), at(99), at(100), len(m.failed), m.most, m.last), ReportEntryVisibilityAlways)
}

// manyPulls begins pulls of an image at [pullRate], as long as no more than [pullsAtOnce] are under way: what a machine cannot keep up with would
// otherwise be in the time of each.
func (s *site) manyPulls(ctx context.Context, cri *containerdClient, reference string, during time.Duration) *many {
	GinkgoHelper()
	_, err := cri.again(ctx, reference) // which has its content fetched
	Expect(err).NotTo(HaveOccurred())
	var (
		m       many
		mu      sync.Mutex
		pulling sync.WaitGroup
	)
	room := make(chan struct{}, pullsAtOnce)
	ticker := time.NewTicker(time.Second / pullRate)
	defer ticker.Stop()
	began := time.Now()
	for n := range int(during.Seconds()) * pullRate {
		<-ticker.C
		room <- struct{}{}
		pulling.Go(func() {
			d, err := cri.again(ctx, reference)
			<-room
			mu.Lock()
			defer mu.Unlock()
			m.took = append(m.took, d)
			if err != nil {
				m.failed = append(m.failed, err)
			}
		})
		if n%pullRate == 0 {
			m.most = max(m.most, s.atRedirector())
		}
	}
	pulling.Wait()
	slices.Sort(m.took)
	m.all, m.last = time.Since(began), s.atRedirector()
	return &m
}

// atRedirector counts the connections that the node's redirector has.
func (s *site) atRedirector() (n int) {
	GinkgoHelper()
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", s.InitPID()))
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); fields[1] == "0100007F:0121" && fields[3] == "01" {
			n++
		}
	}
	return n
}
