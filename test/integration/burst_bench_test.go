// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// burstSize is how many sets are created as fast as the API server takes them, by burstWriters at the same time.
const (
	burstSize    = 1000
	burstWriters = 8
)

// BenchmarkBurst measures in how many steps a node follows many new sets, and how long after the last of them it has all in its file.
func BenchmarkBurst(b *testing.B) {
	p, c := startManaged(b)
	n := startFollowing(b, p)
	first := set("first", entry("first.local", "m.local"))
	must(b, c.Create(b.Context(), first))
	must(b, n.waitFor("first.local"))
	var publications atomic.Int32
	awaitWatches(b, onChange(b, newFloorClient(b, p.Config), configMaps, configMapMeta.Namespace, configMapMeta.Name, func(*unstructured.Unstructured) error {
		publications.Add(1)
		return nil
	}))
	for b.Loop() {
		time.Sleep(apart)
		publications.Store(0)
		took := burst(b, func(ctx context.Context, s client.Object) error { return c.Create(ctx, s) })
		last := time.Now()
		must(b, n.waitUntil(n.files, func(text string) bool { return strings.Count(text, "\nlocation = \"burst") == burstSize }))
		b.ReportMetric(time.Since(last).Seconds()*1000, "last-ms")
		b.ReportMetric(float64(publications.Load()), "publications")
		b.ReportMetric(burstSize/took.Seconds(), "sets/s")
		b.StopTimer()
		burst(b, func(ctx context.Context, s client.Object) error { return c.Delete(ctx, s) })
		must(b, n.waitUntil(n.files, func(text string) bool { return !strings.Contains(text, "burst") }))
		b.StartTimer()
	}
}

// burst does something to each of the sets, and returns how long the API server took.
func burst(b *testing.B, do func(context.Context, client.Object) error) time.Duration {
	b.Helper()
	start := time.Now()
	var writing sync.WaitGroup
	for writer := range burstWriters {
		writing.Go(func() {
			for i := writer; i < burstSize; i += burstWriters {
				if err := do(b.Context(), set(fmt.Sprintf("burst-%d", i), entry(fmt.Sprintf("burst%d.local", i), "m.local"))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	writing.Wait()
	return time.Since(start)
}
