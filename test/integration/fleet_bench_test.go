// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/agent"
	"github.com/mirrorset/mirrorset/internal/agent/runtimes"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// BenchmarkFleet measures how long after a change of a set its status says that all nodes have it in force. All agents, the manager,
// the API server and etcd share one machine here.
func BenchmarkFleet(b *testing.B) {
	for _, size := range []struct{ agents, sources int }{{10, 10}, {10, 10_000}, {1000, 10}} {
		b.Run(fmt.Sprintf("agents=%d/sources=%d", size.agents, size.sources), func(b *testing.B) {
			benchmarkFleet(b, size.agents, size.sources)
		})
	}
}

func benchmarkFleet(b *testing.B, agents, sources int) {
	p, c := startManaged(b)
	changed := set("a", entry("changed.example.com/team", "mirror.local/0"))
	must(b, c.Create(b.Context(), changed))
	const each = 100 // of a set
	for first := 0; first < sources; first += each {
		s := set(fmt.Sprintf("b%05d", first))
		for i := first; i < min(first+each, sources); i++ {
			s.Spec.ImageDigestMirrors = append(s.Spec.ImageDigestMirrors, entry(fmt.Sprintf("registry%d.example.com/team%d", i%100, i), "mirror.local/team"))
		}
		must(b, c.Create(b.Context(), s))
	}
	startAgents(b, p.Config, c, agents)
	awaitApplied(b, c, changed)
	for i := 1; b.Loop(); i++ {
		before := changed.DeepCopy()
		changed.Spec.ImageDigestMirrors[0].Mirrors = []configv1.ImageMirror{configv1.ImageMirror(fmt.Sprintf("mirror.local/%d", i))}
		must(b, c.Patch(b.Context(), changed, client.MergeFrom(before)))
		awaitApplied(b, c, changed)
	}
}

// startManaged returns a control plane with a manager that has brought the CRDs.
func startManaged(b *testing.B) (*controlplane.ControlPlane, client.Client) {
	b.Helper()
	log.SetLogger(logr.Discard())
	p, err := startPlane()
	must(b, err)
	b.Cleanup(func() { _ = p.Stop() })
	must(b, p.Install(b.Context()))
	c, err := newClient(p.Config)
	must(b, err)
	manager, err := p.StartManager(b.Context(), alone)
	must(b, err)
	b.Cleanup(manager.Kill)
	must(b, p.AwaitSets(b.Context()))
	return p, c
}

// startAgents starts agents in this process, each with a node of its own, until the benchmark ends.
func startAgents(b *testing.B, api *rest.Config, c client.Client, agents int) {
	b.Helper()
	roots := b.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	b.Cleanup(func() { stop(); running.Wait() })
	api = rest.CopyConfig(api)
	api.QPS = -1
	clients, err := agent.NewClients(api)
	must(b, err)
	for i := range agents {
		flags := flag.NewFlagSet("", flag.PanicOnError)
		config := agent.Config{
			HostRoot: filepath.Join(roots, fmt.Sprint(i)), NodeName: fmt.Sprintf("node-%d", i), Namespace: controlplane.Namespace,
			Clients: clients, Log: logr.Discard(), Rescan: time.Minute, Started: func() {},
			Metrics: prometheus.NewRegistry(), Sinks: runtimes.Flags(flags),
		}
		must(b, flags.Set("redirector-port", fmt.Sprint(20_000+i)))
		must(b, os.MkdirAll(filepath.Join(config.HostRoot, dropIns), 0o755))
		must(b, c.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: config.NodeName, Labels: map[string]string{corev1.LabelOSStable: "linux"}}}))
		running.Go(func() {
			if err := agent.Run(ctx, config); err != nil {
				b.Error(err)
			}
		})
	}
}

// awaitApplied waits until the set says that all nodes have it in force, and returns it as it is then.
func awaitApplied(b *testing.B, c client.Client, s *configv1.ImageDigestMirrorSet) {
	b.Helper()
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		must(b, c.Get(b.Context(), client.ObjectKeyFromObject(s), s))
		applied := meta.FindStatusCondition(s.Status.Conditions, configv1.ConditionApplied)
		if applied != nil && applied.Status == metav1.ConditionTrue && applied.ObservedGeneration == s.Generation {
			return
		}
		if time.Since(start) > 5*time.Minute {
			b.Fatalf("not in force on all nodes: %+v", applied)
		}
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
