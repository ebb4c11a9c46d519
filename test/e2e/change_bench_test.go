// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/test/cluster"
)

// A comparison needs programs of another commit, which no other spec needs: `make bench-change` builds them, and says here where. How many
// changes each side makes is there too.
const (
	otherCheckout = "MIRRORSET_BENCH_OTHER"
	benchChanges  = "MIRRORSET_BENCH_CHANGES"
)

// benchRounds is how many fleets each commit gets, in turns: two fleets of the same programs differ too, and by how much is what a difference
// between the commits has to be held against.
const benchRounds = 3

// changes is a fleet whose times of changes are measured.
type changes struct {
	*fleet
	watcher *fsnotify.Watcher
	nodes   map[string]string // names, by the path of the drop-in
	// took are the times in milliseconds from the request that changes the set to the file: of the real node, and of the others the first, the
	// one in the middle and the last.
	took map[string][]float64
}

var benchColumns = []string{"the real node", "the first of the others", "half of the others", "the last of all"}

func startChanges(ctx context.Context, checkout string) *changes {
	GinkgoHelper()
	s := &changes{fleet: startFleetOf(ctx, fleetOptions{size: fleetSize, checkout: checkout}), nodes: map[string]string{}, took: map[string][]float64{}}
	s.apply(ctx, set("20-global", "registry.example.com", "mirror.example.com/first"))
	s.expectApplied(ctx, "20-global", beApplied())
	var err error
	s.watcher, err = fsnotify.NewWatcher()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(s.watcher.Close)
	s.nodes[s.Path(dropIn)] = cluster.NodeName
	for name, agent := range s.agents {
		s.nodes[agent.root+dropIn] = name
	}
	for path := range s.nodes {
		Expect(s.watcher.Add(filepath.Dir(path))).To(Succeed())
	}
	s.expectReported(ctx)
	return s
}

// change changes the set, and notes when each node had it in its file.
func (s *changes) change(ctx context.Context, n int) {
	GinkgoHelper()
	mirror := fmt.Sprintf("mirror.example.com/%d", n)
	patch := fmt.Appendf(nil, `[{"op": "replace", "path": "/spec/imageDigestMirrors/0/mirrors/0", "value": %q}]`, mirror)
	changed := &configv1.ImageDigestMirrorSet{}
	changed.Name = "20-global"
	started := time.Now()
	Expect(s.objects.Patch(ctx, changed, client.RawPatch(types.JSONPatchType, patch))).To(Succeed())
	there := map[string]float64{}
	for len(there) < len(s.nodes) {
		select {
		case event := <-s.watcher.Events:
			at := time.Since(started)
			name, ours := s.nodes[event.Name]
			if text, err := os.ReadFile(event.Name); ours && err == nil && strings.Contains(string(text), strconv.Quote(mirror)) && there[name] == 0 {
				there[name] = float64(at.Microseconds()) / 1000
			}
		case err := <-s.watcher.Errors:
			Expect(err).NotTo(HaveOccurred())
		case <-ctx.Done():
			Expect(ctx.Err()).NotTo(HaveOccurred(), "%d of %d nodes have change %d", len(there), len(s.nodes), n)
		}
	}
	s.expectReported(ctx)
	if n == 0 {
		return // connections are made and caches filled
	}
	realNode := there[cluster.NodeName]
	delete(there, cluster.NodeName)
	others := slices.Sorted(maps.Values(there))
	for i, took := range []float64{realNode, others[0], others[len(others)/2], max(realNode, others[len(others)-1])} {
		s.took[benchColumns[i]] = append(s.took[benchColumns[i]], took)
	}
}

// rank returns the value at a part of the way from the lowest to the highest.
func rank(values []float64, part float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(math.Round(part*float64(len(sorted)-1)))]
}

// reportChanges reports one column: of all changes of a commit, and the median of each of its fleets.
func reportChanges(column, what string, fleets []*changes) {
	var all []float64
	var medians []string
	for _, s := range fleets {
		all = append(all, s.took[column]...)
		medians = append(medians, fmt.Sprintf("%.0f", rank(s.took[column], 0.5)))
	}
	AddReportEntry(column+", "+what, fmt.Sprintf("median %.0f ms, 10th to 90th percentile %.0f to %.0f ms, of %d changes; medians of each fleet: %s ms",
		rank(all, 0.5), rank(all, 0.1), rank(all, 0.9), len(all), strings.Join(medians, ", ")), ReportEntryVisibilityAlways)
}

func describeChangeBench() bool {
	return Describe("the time of a change", Ordered, func() {
		checkouts := map[string]string{"other commit": os.Getenv(otherCheckout), "this commit": ""}
		order := []string{"other commit", "this commit"}
		done := map[string][]*changes{}
		for round := range benchRounds {
			for _, what := range order {
				It(fmt.Sprintf("is taken of the %s, round %d", what, round+1), func(ctx SpecContext) {
					n, err := strconv.Atoi(os.Getenv(benchChanges))
					Expect(err).NotTo(HaveOccurred(), benchChanges)
					s := startChanges(ctx, checkouts[what])
					for i := range n + 1 {
						s.change(ctx, i)
						time.Sleep(time.Second) // what it set in motion comes to rest, and the next one is published at once
					}
					done[what] = append(done[what], s)
				}, SpecTimeout(20*time.Minute))
			}
			slices.Reverse(order)
		}
		It("is told of both", func() {
			for _, column := range benchColumns {
				for _, what := range []string{"other commit", "this commit"} {
					reportChanges(column, what, done[what])
				}
			}
		})
	})
}

var _ = os.Getenv(otherCheckout) == "" || describeChangeBench()
