// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// propagations is how many changes are measured.
const propagations = 50

// BenchmarkPropagation measures how long after the API server confirmed a change of a set the file on a node is replaced.
func BenchmarkPropagation(b *testing.B) {
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	p, err := startPlane()
	must(err)
	b.Cleanup(func() { _ = p.Stop() })
	must(p.Install(b.Context()))
	c, err := newClient(p.Config)
	must(err)
	manager, err := p.StartManager(b.Context(), alone)
	must(err)
	b.Cleanup(manager.Kill)
	n := &node{root: b.TempDir()}
	must(os.MkdirAll(n.path(dropIns), 0o755))
	files, err := fsnotify.NewWatcher()
	must(err)
	b.Cleanup(func() { _ = files.Close() })
	must(files.Add(n.path(dropIns)))
	agent, err := p.StartAgent(b.Context(), n.root, "node-1")
	must(err)
	b.Cleanup(agent.Kill)

	s := set("a", entry("quay.io", "first.local"))
	must(c.Create(b.Context(), s))
	must(n.waitFor(files, "first.local"))
	b.ResetTimer()
	for b.Loop() {
		took := make([]time.Duration, propagations)
		for i := range took {
			mirror := fmt.Sprintf("m%d-%d.local", i, b.N)
			s.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{entry("quay.io", configv1.ImageMirror(mirror))}
			must(c.Update(b.Context(), s))
			start := time.Now()
			must(n.waitFor(files, mirror))
			took[i] = time.Since(start)
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
		b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms/max")
	}
}
