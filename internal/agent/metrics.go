// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"crypto/sha256"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/redirect"
)

// The files that repairs are counted of.
const (
	dropInRepairs    = "drop_in"
	hostsTOMLRepairs = "hosts_toml"
)

// Metrics are what an agent counts. No label holds anything that a set, a Pod or a registry could choose.
type Metrics struct {
	repairs      *prometheus.CounterVec
	requests     *prometheus.CounterVec
	revision     prometheus.Gauge
	redirectorUp prometheus.Gauge
}

// NewMetrics returns metrics with all counters at zero: one that appears with its first event does not show that event.
func NewMetrics() *Metrics {
	m := &Metrics{
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirrorset_agent_drift_repairs_total",
			Help: "How often a file of ours that somebody else had changed or removed was put right.",
		}, []string{"file"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirrorset_agent_redirector_requests_total",
			Help: "Requests to the redirector by what they came to.",
		}, []string{"result"}),
		revision: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mirrorset_agent_revision",
			Help: "Revision that this node follows; 0 while there is none.",
		}),
		redirectorUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mirrorset_agent_redirector_up",
			Help: "1 while the redirector serves; 0 while it does not, or this node has no containerd to serve.",
		}),
	}
	for _, file := range []string{dropInRepairs, hostsTOMLRepairs} {
		m.repairs.WithLabelValues(file)
	}
	for _, result := range redirect.Results() {
		m.requests.WithLabelValues(string(result))
	}
	return m
}

// Describe is for the registry.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(m, descriptions)
}

// Collect is for the registry.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{m.repairs, m.requests, m.revision, m.redirectorUp} {
		c.Collect(metrics)
	}
}

func (m *Metrics) answered(result redirect.Result) {
	m.requests.WithLabelValues(string(result)).Inc()
}

func (m *Metrics) setRedirectorUp(up bool) {
	m.redirectorUp.Set(map[bool]float64{true: 1}[up])
}

// wrote takes note of what a file of ours was made to be; without content there is none. A file that had to be changed to be
// what it was made to be before was changed by somebody else.
func (n *node) wrote(kind, path string, content []byte, changed bool) {
	want := sha256.Sum256(content)
	if last, known := n.written[path]; changed && known && last == want {
		n.metrics.repairs.WithLabelValues(kind).Inc()
	}
	n.written[path] = want
}
