// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import "github.com/prometheus/client_golang/prometheus"

// newRepairs returns the counters of repairs. No label holds anything that a set, a Pod or a registry could choose.
func newRepairs(metrics prometheus.Registerer) *prometheus.CounterVec {
	repairs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mirrorset_agent_drift_repairs_total",
		Help: "Number of times that the agent repaired a file of Mirrorset that something else had changed or removed.",
	}, []string{"file"})
	metrics.MustRegister(repairs)
	return repairs
}

func newRevision(metrics prometheus.Registerer) prometheus.Gauge {
	revision := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mirrorset_agent_revision",
		Help: "Revision that this node follows; 0 before the first.",
	})
	metrics.MustRegister(revision)
	return revision
}
