// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/test/controlplane"
)

// changesMeasured is how many changes are measured in a row, and apart how long after one the next one comes: sooner ones wait for each
// other, so that a storm of changes is few to nodes. The floor has none that wait, and the same time for all that goes on meanwhile.
const (
	changesMeasured = 20
	apart           = 1100 * time.Millisecond
)

// BenchmarkChange measures the time from the request that changes a set until the file on a node is replaced. The floor writes its file as soon
// as it sees its ConfigMap: two writes, two events and one file.
func BenchmarkChange(b *testing.B) {
	p, c := startManaged(b)
	ours, set := startFollowing(b, p), set("a", entry("quay.io", configv1.ImageMirror(mirrorOf(0))))
	must(b, c.Create(b.Context(), set))
	must(b, ours.waitFor(mirrorOf(0)))
	watching := newFloorClient(b, p.Config)
	f, floor := startFloor(b, c, watching, set), newFollowing(b)
	awaitWatches(b, onChange(b, watching, configMaps, f.configMap.Namespace, f.configMap.Name, func(cm *unstructured.Unstructured) error {
		text, _, err := unstructured.NestedString(cm.Object, "data", payload.Key)
		must(b, err)
		return replaceFile(floor.path(dropIn), text)
	}))
	changes := 0
	for _, way := range []struct {
		name string
		set  client.Object
		node *following
	}{{"mirrorset", set, ours}, {"floor", f.set, floor}} {
		b.Run("way="+way.name, func(b *testing.B) {
			for b.Loop() {
				took := make([]time.Duration, changesMeasured)
				for i := range took {
					time.Sleep(apart)
					changes++
					start := time.Now()
					changeMirror(b, c, way.set, mirrorOf(changes))
					must(b, way.node.waitFor(mirrorOf(changes)))
					took[i] = time.Since(start)
				}
				reportTimes(b, took)
			}
		})
	}
}

// mirrorOf names the mirror of a change. All names are of one length.
func mirrorOf(change int) string { return fmt.Sprintf("m%05d.mirrors.local", change) }

// changeMirror gives the first entry of a set another mirror.
func changeMirror(b *testing.B, c client.Client, set client.Object, mirror string) {
	b.Helper()
	patch := fmt.Appendf(nil, `[{"op": "replace", "path": "/spec/imageDigestMirrors/0/mirrors/0", "value": %q}]`, mirror)
	must(b, c.Patch(b.Context(), set, client.RawPatch(types.JSONPatchType, patch)))
}

// following is a node of which changes of the drop-in are seen as they happen.
type following struct {
	*node
	files *fsnotify.Watcher
}

func newFollowing(b *testing.B) *following {
	b.Helper()
	n := &node{root: b.TempDir()}
	must(b, os.MkdirAll(n.path(dropIns), 0o755))
	files, err := fsnotify.NewWatcher()
	must(b, err)
	b.Cleanup(func() { _ = files.Close() })
	must(b, files.Add(n.path(dropIns)))
	return &following{n, files}
}

// startFollowing starts an agent on one. As on a node, it tries files in memory, whatever disk the node has.
func startFollowing(b *testing.B, p *controlplane.ControlPlane) *following {
	b.Helper()
	n := newFollowing(b)
	account := types.NamespacedName{Namespace: controlplane.Namespace, Name: controlplane.AgentAccount}
	agent, err := p.StartProgram(context.Background(), "agent", account, "node-1", []string{"TMPDIR=" + memory(b)},
		"--namespace", controlplane.Namespace, "--host-root", n.root, "--node-name", "node-1")
	must(b, err)
	b.Cleanup(agent.Kill)
	return n
}

// waitFor returns once the drop-in has the text in it.
func (n *following) waitFor(text string) error {
	return n.waitUntil(n.files, func(has string) bool { return strings.Contains(has, text) })
}

// reportTimes reports the median as the time of an operation, and beside it the slow end.
func reportTimes(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(part float64) time.Duration { return took[int(math.Ceil(part*float64(len(took))))-1] }
	b.ReportMetric(float64(at(0.5).Nanoseconds()), "ns/op")
	b.ReportMetric(at(0.5).Seconds()*1000, "p50-ms")
	b.ReportMetric(at(0.99).Seconds()*1000, "p99-ms")
}
