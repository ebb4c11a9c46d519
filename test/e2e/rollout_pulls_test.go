// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// pulls are of one image, over and over.
type pulls struct {
	mu   sync.Mutex
	done []pull
}

type pull struct {
	began, ended time.Time
	err          error
}

// startPulls pulls until the end of the Ginkgo node that it is called in.
func startPulls(once func(context.Context) error) *pulls {
	p := &pulls{}
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			began := time.Now()
			err := once(ctx)
			p.mu.Lock()
			p.done = append(p.done, pull{began, time.Now(), err})
			p.mu.Unlock()
			select {
			case <-end:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	DeferCleanup(func() {
		close(end)
		running.Wait()
		cancel()
	})
	return p
}

// since returns how many pulls ended after a time, and the errors of those that failed.
func (p *pulls) since(since time.Time) (n int, errs []error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pull := range p.done {
		if pull.ended.After(since) {
			n++
			if pull.err != nil {
				errs = append(errs, pull.err)
			}
		}
	}
	return n, errs
}

// expectSome waits until a pull began and ended after a time.
func (p *pulls) expectSome(ctx context.Context, since time.Time) {
	GinkgoHelper()
	Eventually(func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.done[len(p.done)-1].began.After(since)
	}).WithContext(ctx).WithTimeout(convergeTimeout).WithPolling(10 * time.Millisecond).Should(BeTrue())
}

// expectNone wants that no pull failed, and that there were some.
func (p *pulls) expectNone(since time.Time) {
	GinkgoHelper()
	n, failed := p.since(since)
	Expect(failed).To(BeEmpty(), "of %d", n)
	Expect(n).To(BeNumerically(">", 0))
	p.report("pulls", since)
}

func (p *pulls) report(what string, since time.Time) {
	n, failed := p.since(since)
	AddReportEntry(what, fmt.Sprintf("%d, of which %d failed", n, len(failed)), ReportEntryVisibilityAlways)
}

// inDropIns runs a program where a folder is that of the drop-ins.
const inDropIns = `mount -n --bind "$0" /etc/containers/registries.conf.d && exec "$@"`

// startPodman pulls an image over and over by the drop-in of a node that has no containerd.
func (r *rollout) startPodman(name, reference string) *pulls {
	GinkgoHelper()
	path, folder := newPodman.path(), "/run/"+name
	return startPulls(func(ctx context.Context) error {
		_, err := r.Exec(ctx, "unshare", "--mount", "sh", "-c", inDropIns, filepath.Dir(r.agents[name].root+dropIn), path, "--log-level", "error",
			"--root", filepath.Join("/var/lib/containers", name), "--runroot", filepath.Join(folder, "runroot"), "--tmpdir", filepath.Join(folder, "tmp"), "pull", "--quiet", reference)
		return err
	})
}
