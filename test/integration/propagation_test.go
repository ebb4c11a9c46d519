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
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// propagations is how many changes are measured, and apart how long after one the next one comes: sooner ones wait for each other, so
// that a storm of changes is few to nodes.
const (
	propagations = 20
	apart        = 1100 * time.Millisecond
)

// BenchmarkPropagation measures how long after the API server confirmed a change of a set the file on a node is replaced.
func BenchmarkPropagation(b *testing.B) {
	p, c := startManaged(b)
	n := &node{root: b.TempDir()}
	must(b, os.MkdirAll(n.path(dropIns), 0o755))
	files, err := fsnotify.NewWatcher()
	must(b, err)
	b.Cleanup(func() { _ = files.Close() })
	must(b, files.Add(n.path(dropIns)))
	agent, err := p.StartAgent(b.Context(), n.root, "node-1")
	must(b, err)
	b.Cleanup(agent.Kill)

	s := set("a", entry("quay.io", "first.local"))
	must(b, c.Create(b.Context(), s))
	must(b, n.waitFor(files, "first.local"))
	b.ResetTimer()
	for b.Loop() {
		took := make([]time.Duration, propagations)
		for i := range took {
			mirror := fmt.Sprintf("m%d-%d.local", i, b.N)
			time.Sleep(apart)
			before := s.DeepCopy()
			s.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{entry("quay.io", configv1.ImageMirror(mirror))}
			must(b, c.Patch(b.Context(), s, client.MergeFrom(before))) // whatever became of its status
			start := time.Now()
			must(b, n.waitFor(files, mirror))
			took[i] = time.Since(start)
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
		b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms/max")
	}
}
