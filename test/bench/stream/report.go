// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	criv1 "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/mirrorset/mirrorset/test/enclosure"
)

// way is one of the two to the image.
type way struct {
	name       string
	repository string
	login      *criv1.AuthConfig
	took       []time.Duration
	// used is the processor time of each program, over all runs.
	used map[string]time.Duration
}

// bench takes both ways in turns, and prints what they took.
func bench(ctx context.Context, o options) error {
	if err := enclosure.Settle(ctx, mirrorIP); err != nil {
		return err
	}
	n, err := startNode(ctx, o)
	if err != nil {
		return err
	}
	direct := &way{name: "direct", repository: mirrorHost + "/" + repository, login: &criv1.AuthConfig{Username: user, Password: password}}
	streamed := &way{name: "streamed", repository: source + "/layer"}
	fmt.Printf("A layer of %.0f MiB, from a mirror over TLS with a login, in memory:\n\nrun  way         seconds     MB/s\n", float64(o.layer)/(1<<20))
	for i := range o.runs {
		ways := []*way{direct, streamed}
		if i%2 == 1 { // so that neither is always the one behind the other
			slices.Reverse(ways)
		}
		for _, w := range ways {
			if err := w.take(ctx, n); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			took := w.took[i].Seconds()
			fmt.Printf("%3d  %-9s %9.2f %8.0f\n", i+1, w.name, took, float64(o.layer)/1e6/took)
		}
	}
	report(o, direct, streamed)
	return nil
}

// take pulls the image once.
func (w *way) take(ctx context.Context, n *node) error {
	if w.used == nil {
		w.used = make(map[string]time.Duration)
	}
	before := make(map[string]time.Duration)
	for name := range n.programs {
		used, err := n.used(name)
		if err != nil {
			return err
		}
		before[name] = used
	}
	took, err := n.pull(ctx, w.repository, w.login)
	if err != nil {
		return err
	}
	w.took = append(w.took, took)
	for name := range n.programs {
		used, err := n.used(name)
		if err != nil {
			return err
		}
		w.used[name] += used - before[name]
	}
	return nil
}

func report(o options, direct, streamed *way) {
	var ratios []float64
	for i := range direct.took {
		ratios = append(ratios, direct.took[i].Seconds()/streamed.took[i].Seconds())
	}
	slices.Sort(ratios)
	slow, fast := median(streamed.took), median(direct.took)
	fmt.Printf("\nmedians: direct %.0f MB/s, streamed %.0f MB/s; throughput ratio %.2f\n",
		float64(o.layer)/1e6/fast, float64(o.layer)/1e6/slow, fast/slow)
	fmt.Printf("ratio of the two of a run: lowest %.2f, median %.2f, highest %.2f\n",
		ratios[0], (ratios[(len(ratios)-1)/2]+ratios[len(ratios)/2])/2, ratios[len(ratios)-1])
	perGiB := float64(o.runs) * float64(o.layer) / (1 << 30)
	for _, w := range []*way{direct, streamed} {
		fmt.Printf("processor seconds for each GiB, %s: agent %.2f, containerd %.2f, mirror %.2f\n",
			w.name, w.used["agent"].Seconds()/perGiB, w.used["containerd"].Seconds()/perGiB, w.used[registryName].Seconds()/perGiB)
	}
}

// median returns that of some times, in seconds.
func median(took []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(took))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]).Seconds() / 2
}
