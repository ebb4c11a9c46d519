// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	mirrorsetv1alpha1ac "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1/applyconfiguration/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/plan"
)

var update = flag.Bool("update", false, "write testdata/metrics.prom from what is served")

// cached is what a cache has of nodes and MirrorNodes.
type cached struct {
	client.Reader
	nodes   []corev1.Node
	reports []mirrorsetv1alpha1.MirrorNode
	err     error
}

func (c *cached) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch list := list.(type) {
	case *corev1.NodeList:
		list.Items = c.nodes
	case *mirrorsetv1alpha1.MirrorNodeList:
		list.Items = c.reports
	}
	return c.err
}

// add has a node with what its agent reported; the node alone where that is nil.
func (c *cached) add(node corev1.Node, status *mirrorsetv1alpha1.MirrorNodeStatus) {
	c.nodes = append(c.nodes, node)
	if status != nil {
		c.reports = append(c.reports, mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: node.Name}, Status: *status})
	}
}

// scrape returns what Prometheus is served.
func scrape(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// snapshotOf returns a snapshot of sets in the notation of mirrorstest, at revision 20.
func snapshotOf(t *testing.T, sets string) *Snapshot {
	t.Helper()
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		t.Fatal(err)
	}
	return &Snapshot{Sets: parsed, Result: kinds.Merge(parsed, nil), Revision: 20, Digest: "d", Stage: plan.Steady}
}

func applied(is metav1.ConditionStatus, reason string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
	return fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, is, reason, "because")
}

// TestMetricsAreServedAsTheyAreDocumented compares with a file that test/prometheus, too, goes by.
func TestMetricsAreServedAsTheyAreDocumented(t *testing.T) {
	const golden = "testdata/metrics.prom"
	all := &cached{}
	for name, status := range map[string]mirrorsetv1alpha1.MirrorNodeStatus{
		"one": fleettest.Reported(20), "two": fleettest.Reported(20), "late": fleettest.Reported(19), "lame": fleettest.Reported(20, fleettest.Without("a.com")),
		"mute": fleettest.Reported(19, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentSilent)),
	} {
		all.add(fleettest.Node(name), &status)
	}
	all.add(fleettest.Node("new"), nil)
	all.add(fleettest.Node("opted", fleettest.Labelled("mirrorset.io/agent", "disabled")), nil)
	board := &Board{}
	m := NewMetrics(board, all, operand.AgentSettings{})
	board.put(*snapshotOf(t, "a: s.com/x -> m.com/x [Never]\nb: https://wrong -> m.com\nb: t.com -> m.com"))
	m.rendered(3 * time.Millisecond)
	m.publishing(20, "d", time.Now())
	m.seen(&mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Status: fleettest.Reported(20)}, m.publications[0].at.Add(400*time.Millisecond))
	_ = m.wrote(corev1ac.ConfigMap("c", "n"), nil)
	got := scrape(t, m)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	problems, err := testutil.CollectAndLint(m)
	if err != nil || len(problems) > 0 {
		t.Errorf("problems %v, error %v", problems, err)
	}
}

// wantLines checks lines of what is served; one that begins with "!" must not be there.
func wantLines(t *testing.T, what, served string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		line, absent := strings.CutPrefix(line, "!")
		if strings.Contains("\n"+served, "\n"+line) == absent {
			t.Errorf("%s: want %q (absent: %t) in\n%s", what, line, absent, served)
		}
	}
}

func TestASnapshotIsMeasured(t *testing.T) {
	board := &Board{}
	m := NewMetrics(board, &cached{}, operand.AgentSettings{})
	wantLines(t, "before there is one", scrape(t, m), "!mirrorset_sets", "!mirrorset_revision", "!mirrorset_findings", "!mirrorset_nodes", `mirrorset_writes_total{kind="configmap"} 0`)
	board.put(*snapshotOf(t, "a: https://wrong -> m.com\nb: https://wrong -> m.com\nb: s.com -> m.com"))
	wantLines(t, "with findings", scrape(t, m), `mirrorset_sets{kind="ImageDigestMirrorSet"} 2`, "mirrorset_rules 1\n", "mirrorset_revision 20\n", `mirrorset_findings{class="LeftOut",reason="InvalidSource"} 2`, `mirrorset_findings{class="Attention",reason="WildcardTie"} 0`)
	board.put(*snapshotOf(t, "b: s.com -> m.com"))
	wantLines(t, "once they are gone", scrape(t, m), `mirrorset_sets{kind="ImageDigestMirrorSet"} 1`, `mirrorset_findings{class="LeftOut",reason="InvalidSource"} 0`)
	board.put(Snapshot{})
	wantLines(t, "with nothing at all", scrape(t, m), `mirrorset_sets{kind="ImageDigestMirrorSet"} 0`, "mirrorset_rules 0\n", "mirrorset_revision 0\n", `mirrorset_nodes{state="in_force"} 0`)
	wantLines(t, "without a cache", scrape(t, NewMetrics(board, &cached{err: errors.New("no")}, operand.AgentSettings{})), `mirrorset_sets{kind="ImageDigestMirrorSet"} 0`, "!mirrorset_nodes")
}

func TestTheStateOfANode(t *testing.T) {
	published := &Snapshot{Revision: 20, Digest: "d"}
	for _, c := range []struct {
		name      string
		published *Snapshot
		status    mirrorsetv1alpha1.MirrorNodeStatus
		want      string
	}{
		{"at what is published", published, fleettest.Reported(20), nodeInForce},
		{"ahead of it", published, fleettest.Reported(30), nodeBehind},
		{"behind", published, fleettest.Reported(19), nodeBehind},
		{"with other content", published, fleettest.Reported(20, func(s *mirrorsetv1alpha1.MirrorNodeStatus) { s.Digest = "e" }), nodeBehind},
		{"behind, with nothing in force yet", published, fleettest.Reported(0, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce)), nodeBehind},
		{"refusing what is published", published, fleettest.Reported(19, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), nodeFailing},
		{"not able to write it", published, fleettest.Reported(20, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), nodeFailing},
		{"without one of the sources", published, fleettest.Reported(20, fleettest.Without("a.com")), nodeFailing},
		{"with a runtime that does not read", published, fleettest.Reported(20, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce),
			fleettest.WithCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotReady, "")), nodeFailing},
		{"with a runtime of which that is not known", published, fleettest.Reported(20, fleettest.WithCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNotReady, "")), nodeInForce},
		{"silent", published, fleettest.Reported(19, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentSilent)), nodeSilent},
		{"marked as one that never reported", published, fleettest.Reported(0, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNeverReported)), nodeSilent},
		{"without any report", published, mirrorsetv1alpha1.MirrorNodeStatus{}, nodeSilent},
		{"while nothing is published", &Snapshot{Held: "because"}, fleettest.Reported(20), nodeInForce},
	} {
		if got := stateOf(&fleet.Member{Name: "n", Status: c.status}, c.published); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTheWayToEachNodeIsMeasuredOnceARevision(t *testing.T) {
	m := NewMetrics(&Board{}, &cached{}, operand.AgentSettings{})
	start := time.Now()
	seen := func(name string, after time.Duration, status mirrorsetv1alpha1.MirrorNodeStatus, created time.Time) {
		node := &mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Time{Time: created}}, Status: status}
		m.seen(node, start.Add(after))
	}
	long := start.Add(-time.Hour)
	seen("n", time.Second, fleettest.Reported(20), long) // another manager's
	m.publishing(20, "d", start)
	seen("n", 60*time.Millisecond, fleettest.Reported(19), long)
	seen("n", 70*time.Millisecond, fleettest.Reported(20, fleettest.Without("a.com")), long)
	seen("n", 80*time.Millisecond, fleettest.Reported(20, func(s *mirrorsetv1alpha1.MirrorNodeStatus) { s.Digest = "e" }), long)
	seen("n", 90*time.Millisecond, fleettest.Reported(20), long)
	seen("n", 4*time.Second, fleettest.Reported(20), long) // again
	seen("other", 4*time.Second, fleettest.Reported(20), long)
	seen("joined", 5*time.Second, fleettest.Reported(20), start.Add(time.Second))
	m.publishing(21, "d", start.Add(6*time.Second))
	seen("late", 8*time.Second, fleettest.Reported(20), long) // it is told of the next one only later
	seen("n", 7*time.Second, fleettest.Reported(21), long)
	wantLines(t, "after all", scrape(t, m), "mirrorset_propagation_seconds_count 4\n", "mirrorset_propagation_seconds_sum 13.09\n",
		`mirrorset_propagation_seconds_bucket{le="0.05"} 0`, `mirrorset_propagation_seconds_bucket{le="0.1"} 1`, `mirrorset_propagation_seconds_bucket{le="1"} 2`)
	for i := range int64(100) {
		m.publishing(30+i, "d", start)
	}
	if n := len(m.publications); n != maxPublications || m.publications[n-1].revision != 129 {
		t.Errorf("%d publications are kept, up to %d", n, m.publications[n-1].revision)
	}
}

func TestEveryReportIsSeen(t *testing.T) {
	m := NewMetrics(&Board{}, &cached{}, operand.AgentSettings{})
	m.publishing(20, "d", time.Now())
	node := func(name string) *mirrorsetv1alpha1.MirrorNode {
		return &mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: fleettest.Reported(20)}
	}
	handler := m.OfNodes()
	handler.Create(t.Context(), event.CreateEvent{Object: node("a")}, nil)
	handler.Update(t.Context(), event.UpdateEvent{ObjectOld: &mirrorsetv1alpha1.MirrorNode{}, ObjectNew: node("b")}, nil)
	handler.Delete(t.Context(), event.DeleteEvent{Object: node("c")}, nil)
	wantLines(t, "of three events", scrape(t, m), "mirrorset_propagation_seconds_count 2\n")
}

func TestARenderingIsMeasured(t *testing.T) {
	m := NewMetrics(&Board{}, &cached{}, operand.AgentSettings{})
	m.rendered(3 * time.Millisecond)
	wantLines(t, "one of 3 ms", scrape(t, m), "mirrorset_render_duration_seconds_count 1\n", `mirrorset_render_duration_seconds_bucket{le="0.0025"} 0`, `mirrorset_render_duration_seconds_bucket{le="0.005"} 1`)
}

// server answers each write with an error, or with none.
type server struct {
	client.WithWatch
	err error
}

func (s *server) Create(context.Context, client.Object, ...client.CreateOption) error { return s.err }
func (s *server) Delete(context.Context, client.Object, ...client.DeleteOption) error { return s.err }
func (s *server) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	return s.err
}
func (s *server) SubResource(string) client.SubResourceClient { return &statusServer{err: s.err} }

type statusServer struct {
	client.SubResourceClient
	err error
}

func (s *statusServer) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	return s.err
}

func TestWritesAreCountedByTheirKind(t *testing.T) {
	for _, failure := range []error{nil, errors.New("no")} {
		m := NewMetrics(&Board{}, &cached{}, operand.AgentSettings{})
		c, ctx := m.Counting(&server{err: failure}), t.Context()
		set := &unstructured.Unstructured{}
		set.SetKind("ImageDigestMirrorSet")
		for _, err := range []error{
			c.Apply(ctx, corev1ac.ConfigMap("c", "n")), c.Delete(ctx, &corev1.ConfigMap{}),
			c.Apply(ctx, appsv1ac.DaemonSet("d", "n")),
			c.Apply(ctx, appsv1ac.ControllerRevision("r", "n")), c.Delete(ctx, &appsv1.ControllerRevision{}),
			c.Create(ctx, &mirrorsetv1alpha1.MirrorNode{}), c.Delete(ctx, &mirrorsetv1alpha1.MirrorNode{}), c.Apply(ctx, mirrorsetv1alpha1ac.MirrorNode("m")), c.Status().Apply(ctx, mirrorsetv1alpha1ac.MirrorNode("m")),
			c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(set)),
		} {
			if !errors.Is(err, failure) {
				t.Errorf("error %v", err)
			}
		}
		want := map[string]float64{configMapWrites: 2, daemonSetWrites: 1, recordWrites: 2, mirrorNodeWrites: 4, setStatusWrites: 1}
		for kind, n := range want {
			if failure != nil {
				n = 0
			}
			if got := testutil.ToFloat64(m.writes.WithLabelValues(kind)); got != n {
				t.Errorf("%s, error %v: counted %f, want %f", kind, failure, got, n)
			}
		}
	}
}

func TestWithoutMetricsNothingIsCounted(*testing.T) {
	var m *Metrics
	m.rendered(time.Second)
	m.publishing(1, "d", time.Now())
	m.seen(&mirrorsetv1alpha1.MirrorNode{}, time.Now())
}
