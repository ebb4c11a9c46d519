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
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/agent"
	"github.com/mirrorset/mirrorset/internal/agent/runtimes"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// fleetChanges is how many changes a fleet of a size follows in a row: many nodes take their time.
func fleetChanges(agents int) int { return max(3, 10-agents/100) }

// BenchmarkFleet measures how long after a change of a set its status says that all nodes have it in force, and what the API server answers for that.
// All agents, the manager, the API server and etcd share one machine here. The floor has as many watches, and each of its nodes writes a status as
// large as ours as soon as it sees its ConfigMap.
func BenchmarkFleet(b *testing.B) {
	for _, agents := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("agents=%d", agents), func(b *testing.B) {
			p, c := startManaged(b)
			set := set("a", entry("changed.example.com/team", configv1.ImageMirror(mirrorOf(0))))
			must(b, c.Create(b.Context(), set))
			untyped := newFloorClient(b, p.Config)
			startAgents(b, p.Config, c, agents)
			awaitApplied(b, c, set)
			floor := startFloorFleet(b, untyped, c, set, agents)
			for _, way := range []struct {
				name  string
				set   client.Object
				apart time.Duration
			}{{"mirrorset", set, apart}, {"floor", floor, 0}} {
				b.Run("way="+way.name, func(b *testing.B) {
					for b.Loop() {
						measureFleet(b, p.Config, c, way.set, fleetChanges(agents), way.apart)
					}
				})
			}
		})
	}
}

// measureFleet changes a set again and again, each time until its status says that the change is in force.
func measureFleet(b *testing.B, api *rest.Config, c client.WithWatch, set client.Object, changes int, apart time.Duration) {
	b.Helper()
	time.Sleep(apart)
	before := answeredBy(b, api)
	took := make([]time.Duration, changes)
	for i := range took {
		mirror := mirrorOf(int(set.GetGeneration()) % 100_000)
		start := time.Now()
		changeMirror(b, c, set, mirror)
		awaitApplied(b, c, set)
		took[i] = time.Since(start)
		time.Sleep(apart)
	}
	reportTimes(b, took)
	after := answeredBy(b, api)
	for unit, total := range after {
		b.ReportMetric((total-before[unit])/float64(changes), unit)
	}
}

// startManaged returns a control plane with a manager that has brought the CRDs.
func startManaged(b *testing.B) (*controlplane.ControlPlane, client.WithWatch) {
	b.Helper()
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard()) // or what client-go says would stand in the middle of the benchmarks' lines
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
	roots := memory(b)
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
			HostRoot: filepath.Join(roots, fmt.Sprint(i)), NodeName: nodeNameOf(i), Namespace: controlplane.Namespace,
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

func nodeNameOf(i int) string { return fmt.Sprintf("node-%04d", i) }

// memory returns a folder in memory where there is such a thing: the nodes of a fleet do not share one disk.
func memory(b *testing.B) string {
	b.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "fleet-")
	if err != nil {
		return b.TempDir()
	}
	b.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// awaitApplied waits until the set says that all nodes have it in force.
func awaitApplied(b *testing.B, c client.WithWatch, set client.Object) {
	b.Helper()
	gvk, err := c.GroupVersionKindFor(set)
	must(b, err)
	sets := &unstructured.UnstructuredList{}
	sets.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	ctx, stop := context.WithTimeout(b.Context(), 5*time.Minute)
	defer stop()
	events, err := c.Watch(ctx, sets, client.MatchingFields{"metadata.name": set.GetName()})
	must(b, err)
	defer events.Stop()
	for event := range events.ResultChan() {
		now := &configv1.ImageDigestMirrorSet{}
		must(b, runtime.DefaultUnstructuredConverter.FromUnstructured(event.Object.(*unstructured.Unstructured).Object, now))
		applied := meta.FindStatusCondition(now.Status.Conditions, configv1.ConditionApplied)
		if applied != nil && applied.Status == metav1.ConditionTrue && applied.ObservedGeneration == set.GetGeneration() {
			return
		}
	}
	b.Fatal("not in force on all nodes")
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
