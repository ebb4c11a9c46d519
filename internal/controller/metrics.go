// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	mirrorsetv1alpha1ac "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1/applyconfiguration/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/configmap"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plan"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// The states that nodes are counted by.
const (
	nodeInForce = "in_force" // all published rules are in force
	nodeBehind  = "behind"   // it has yet to follow
	nodeFailing = "failing"  // its agent reports that it cannot follow, or not completely
	nodeSilent  = "silent"   // its agent never reported, has not followed for a minute and does not report why, or has had no Ready Pod for a minute
)

// stages are those that the latest change of the rules can be in.
var stages = []plan.Stage{plan.Steady, plan.Canary, plan.Halted, plan.NoCanaries, plan.Paused, plan.RolledBack}

// The kinds that writes are counted by.
const (
	configMapWrites  = "configmap"
	setStatusWrites  = "set_status"
	mirrorNodeWrites = "mirrornode"
	daemonSetWrites  = "daemonset"
	recordWrites     = "controllerrevision"
)

const (
	// maxPublications is how many revisions are waited for to arrive on the nodes.
	maxPublications = 8
	// listTime bounds the look into the cache of nodes.
	listTime = 5 * time.Second
)

// Metrics are the metrics of the manager. The state of the last snapshot and of the nodes is read when somebody scrapes it, and events are
// counted when they happen. A manager without a snapshot, for example one that waits for its lease, exports nothing about sets and nodes.
// All methods except those of a collector may be called on nil.
type Metrics struct {
	board    *Board
	nodes    client.Reader
	settings operand.AgentSettings

	sets, rules, findings, revision, stage, byState *prometheus.Desc

	render, propagation prometheus.Histogram
	writes              *prometheus.CounterVec

	mu           sync.Mutex
	publications []publication // of this process, the latest last
}

// publication is a revision on its way to the nodes.
type publication struct {
	revision int64
	digest   string
	at       time.Time
	arrived  map[string]bool // by node
}

// NewMetrics returns metrics of what is on the board and of the nodes and MirrorNodes that the reader has in its cache.
func NewMetrics(board *Board, nodes client.Reader, settings operand.AgentSettings) *Metrics {
	m := &Metrics{
		board: board, nodes: nodes, settings: settings,
		sets:     prometheus.NewDesc("mirrorset_sets", "Number of sets, by kind.", []string{"kind"}, nil),
		rules:    prometheus.NewDesc("mirrorset_rules", "Number of sources that have a rule after all sets are merged.", nil, nil),
		findings: prometheus.NewDesc("mirrorset_findings", "Number of findings about the sets, by reason.", []string{"reason", "class"}, nil),
		revision: prometheus.NewDesc("mirrorset_revision", "Revision that is published for all nodes; 0 before the first.", nil, nil),
		stage:    prometheus.NewDesc("mirrorset_rollout_stage", "1 for the current stage of the latest change of the rules, 0 for every other stage.", []string{"stage"}, nil),
		byState:  prometheus.NewDesc("mirrorset_nodes", "Nodes that should have an agent, by state relative to the published revision.", []string{"state"}, nil),
		render: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mirrorset_render_duration_seconds",
			Help:    "Time to merge all sets and to encode the rules.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}),
		propagation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mirrorset_propagation_seconds",
			Help:    "Time from the publication of a revision until a node reported that all of the revision is in force, for each node and each revision that this manager published.",
			Buckets: []float64{.05, .1, .2, .3, .5, 1, 2, 5, 10, 30, 60, 120, 300},
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirrorset_writes_total",
			Help: "Objects that the manager wrote or deleted, by kind.",
		}, []string{"kind"}),
	}
	for _, kind := range []string{configMapWrites, setStatusWrites, mirrorNodeWrites, daemonSetWrites, recordWrites} {
		m.writes.WithLabelValues(kind)
	}
	return m
}

// Describe is for the registry.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.sets, m.rules, m.findings, m.revision, m.stage, m.byState} {
		descriptions <- d
	}
	for _, c := range []prometheus.Collector{m.render, m.propagation, m.writes} {
		c.Describe(descriptions)
	}
}

// Collect is for the registry.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{m.render, m.propagation, m.writes} {
		c.Collect(metrics)
	}
	published := m.board.Get()
	if published == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for kind, n := range countByKind(published.Sets) {
		gauge(m.sets, float64(n), kind.Name)
	}
	gauge(m.rules, float64(len(published.Result.Rules)))
	gauge(m.revision, float64(published.Revision))
	for _, stage := range stages { // none is 1 while the rules cannot be published
		is := 0.0
		if stage == published.Stage {
			is = 1
		}
		gauge(m.stage, is, string(stage))
	}
	byReason := make(map[mirrors.Reason]int)
	for _, f := range published.Result.Findings {
		byReason[f.Reason]++
	}
	for _, reason := range mirrors.Reasons() { // 0 where there are no longer any
		gauge(m.findings, float64(byReason[reason]), string(reason), string(reason.Class()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), listTime)
	defer cancel()
	nodes, reports, err := fleet.List(ctx, m.nodes)
	if err != nil { // the cache cannot be read; the rest is served
		return
	}
	byState := make(map[string]int)
	for _, node := range fleet.Members(nodes, reports, m.settings) {
		byState[stateOf(&node, published)]++
	}
	for _, state := range []string{nodeInForce, nodeBehind, nodeFailing, nodeSilent} {
		gauge(m.byState, float64(byState[state]), state)
	}
}

// stateOf returns where a node stands with regard to everything that is published for it.
func stateOf(m *fleet.Member, published *Snapshot) string {
	applied := m.Applied()
	if applied.Status != metav1.ConditionTrue && applied.Status != metav1.ConditionFalse {
		return nodeSilent
	}
	own := published.published().For(m.Name)
	where, _ := standing.OfSources(&m.Status, own.Revision, nil, own)
	switch {
	case where == standing.Behind:
		return nodeBehind
	case where == standing.Failing, len(m.Status.NotInForce) > 0, applied.Reason == mirrorsetv1alpha1.ReasonFailed:
		return nodeFailing
	}
	return nodeInForce
}

// rendered takes note of how long a merge took.
func (m *Metrics) rendered(took time.Duration) {
	if m != nil {
		m.render.Observe(took.Seconds())
	}
}

// publishing takes note of a revision that is about to be written, before any node can have seen it. Where canaries have it already, it is on
// its way to the others from now on.
func (m *Metrics) publishing(revision int64, digest string, at time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.publications, func(p publication) bool { return p.revision == revision && p.digest == digest }); i >= 0 {
		m.publications[i].at = at
		return
	}
	m.publications = append(m.publications, publication{revision: revision, digest: digest, at: at, arrived: make(map[string]bool)})
	if more := len(m.publications) - maxPublications; more > 0 {
		m.publications = slices.Delete(m.publications, 0, more)
	}
}

// seen takes note of what a node reports. A node that came after a revision was published says nothing about that one's way.
func (m *Metrics) seen(node *mirrorsetv1alpha1.MirrorNode, at time.Time) {
	if m == nil || (fleet.Member{Status: node.Status}).Applied().Status != metav1.ConditionTrue {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.publications {
		p := &m.publications[i]
		if p.revision == node.Status.Revision && p.digest == node.Status.Digest && !p.arrived[node.Name] && !node.CreationTimestamp.After(p.at) {
			p.arrived[node.Name] = true
			m.propagation.Observe(at.Sub(p.at).Seconds())
		}
	}
}

// OfNodes returns a handler that takes note of every report. It queues nothing.
func (m *Metrics) OfNodes() handler.EventHandler {
	saw := func(object client.Object) {
		if node, ok := object.(*mirrorsetv1alpha1.MirrorNode); ok {
			m.seen(node, time.Now())
		}
	}
	return handler.TypedFuncs[client.Object, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.CreateEvent, _ workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			saw(e.Object)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, _ workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			saw(e.ObjectNew)
		},
	}
}

// Counting returns the client with all that it writes counted, by those of its methods that the reconcilers write with.
func (m *Metrics) Counting(c client.WithWatch) client.Client {
	return interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return m.wrote(object, c.Create(ctx, object, options...))
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			return m.wrote(object, c.Delete(ctx, object, options...))
		},
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			return m.wrote(object, c.Apply(ctx, object, options...))
		},
		SubResourceApply: func(ctx context.Context, c client.Client, name string, object runtime.ApplyConfiguration, options ...client.SubResourceApplyOption) error {
			return m.wrote(object, c.SubResource(name).Apply(ctx, object, options...))
		},
	})
}

// wrote counts a write that did not fail.
func (m *Metrics) wrote(object any, err error) error {
	if err != nil {
		return err
	}
	switch written := object.(type) {
	case *corev1.ConfigMap, *corev1ac.ConfigMapApplyConfiguration, *configmap.Applied:
		m.writes.WithLabelValues(configMapWrites).Inc()
	case interface{ GetKind() string }: // what is applied without a type, such as the status of a set
		if kinds.Named(written.GetKind()) != nil {
			m.writes.WithLabelValues(setStatusWrites).Inc()
		}
	case *mirrorsetv1alpha1.MirrorNode, *mirrorsetv1alpha1ac.MirrorNodeApplyConfiguration:
		m.writes.WithLabelValues(mirrorNodeWrites).Inc()
	case *appsv1ac.DaemonSetApplyConfiguration:
		m.writes.WithLabelValues(daemonSetWrites).Inc()
	case *appsv1.ControllerRevision, *appsv1ac.ControllerRevisionApplyConfiguration:
		m.writes.WithLabelValues(recordWrites).Inc()
	}
	return nil
}
