// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tally counts the pulls of a node by mirror and by source, for Prometheus (V2 and V5 of docs/reference/semantics.md).
package tally

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
)

const (
	// most bounds the mirrors that have series of their own, and the sources that have. Each mirror has nineteen series.
	most = 500
	// other stands for those that came after these.
	other = "other"
)

// Tally is a collector. Its labels are only mirrors and sources of the rules, so that the number of series does not depend on the pulls.
type Tally struct {
	settle func()

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	streamed *prometheus.CounterVec
	atSource *prometheus.CounterVec

	mu      sync.Mutex // also, so that no series comes back that was just deleted
	mirrors labels
	sources labels
}

// labels are those of a metric.
type labels struct {
	named map[mirrors.Scope]bool // by the rules; they may have series
	used  map[mirrors.Scope]bool // they have series of their own
}

// New returns a tally that calls the function before it is read.
func New(settle func()) *Tally {
	return &Tally{
		settle:  settle,
		mirrors: labels{used: make(map[mirrors.Scope]bool)},
		sources: labels{used: make(map[mirrors.Scope]bool)},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirrorset_mirror_requests_total",
			Help: "Requests of containerd for which the redirector tried a mirror, by the mirror's outcome.",
		}, []string{"mirror", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mirrorset_mirror_request_duration_seconds",
			Help:    "Time from the start of a try of a mirror until containerd had an answer.",
			Buckets: []float64{.01, .05, .25, 1, 5, 15, 30}, // a mirror may take 10 seconds, and the last one of a blocked source 25
		}, []string{"mirror"}),
		streamed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirrorset_mirror_streamed_bytes_total",
			Help: "Bytes that the redirector streamed from a mirror.",
		}, []string{"mirror"}),
		atSource: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirrorset_source_requests_total",
			Help: "Requests of containerd that no mirror served, by their outcome at the source, and requests that sets in shadow mode would refuse.",
		}, []string{"source", "outcome"}),
	}
}

// Describe implements a collector.
func (t *Tally) Describe(to chan<- *prometheus.Desc) {
	for _, c := range []prometheus.Collector{t.requests, t.duration, t.streamed, t.atSource} {
		c.Describe(to)
	}
}

// Collect implements a collector.
func (t *Tally) Collect(to chan<- prometheus.Metric) {
	t.settle()
	for _, c := range []prometheus.Collector{t.requests, t.duration, t.streamed, t.atSource} {
		c.Collect(to)
	}
}

// Keep counts the mirrors and sources of these rules, and the watched sources, and ends the series of all others.
func (t *Tally) Keep(rules []mirrors.Rule, watched map[string]string) {
	places, sources := make(map[mirrors.Scope]bool), make(map[mirrors.Scope]bool, len(rules))
	for i := range rules {
		sources[rules[i].Source] = true
		for _, m := range rules[i].Mirrors {
			places[m.Location] = true
		}
	}
	for source := range watched {
		sources[mirrors.Scope(source)] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, gone := range t.mirrors.keep(places) {
		of := prometheus.Labels{"mirror": string(gone)}
		t.requests.DeletePartialMatch(of)
		t.duration.Delete(of)
		t.streamed.Delete(of)
	}
	for _, gone := range t.sources.keep(sources) {
		t.atSource.DeletePartialMatch(prometheus.Labels{"source": string(gone)})
	}
}

// keep returns those that had series, and are named no longer.
func (l *labels) keep(named map[mirrors.Scope]bool) (gone []mirrors.Scope) {
	l.named = named
	for one := range l.used {
		if !named[one] {
			gone = append(gone, one)
			delete(l.used, one)
		}
	}
	return gone
}

// label returns the one for a mirror or a source, and whether it is new; "" where no rule names that any more.
func (l *labels) label(of mirrors.Scope) (label string, isNew bool) {
	switch {
	case l.used[of]:
		return string(of), false
	case !l.named[of]:
		return "", false
	case len(l.used) >= most:
		return other, false
	}
	l.used[of] = true
	return string(of), true
}

// Tried counts a try of a mirror.
func (t *Tally) Tried(try tries.Try) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mirror, isNew := t.mirrors.label(try.Mirror)
	if mirror == "" {
		return
	}
	if isNew { // a counter that appears with its first event does not show that event
		for _, outcome := range accesslog.MirrorOutcomes() {
			t.requests.WithLabelValues(mirror, string(outcome))
		}
	}
	t.requests.WithLabelValues(mirror, string(try.Outcome)).Inc()
	t.duration.WithLabelValues(mirror).Observe(try.Answered.Seconds())
	if try.Bytes > 0 {
		t.streamed.WithLabelValues(mirror).Add(float64(try.Bytes))
	}
}

// AtSource counts a request by its outcome at a source.
func (t *Tally) AtSource(source mirrors.Scope, outcome tries.AtSource) {
	t.mu.Lock()
	defer t.mu.Unlock()
	label, isNew := t.sources.label(source)
	if label == "" {
		return
	}
	if isNew {
		for _, each := range []tries.AtSource{tries.SentOn, tries.Refused, tries.WouldBeRefused} {
			t.atSource.WithLabelValues(label, string(each))
		}
	}
	t.atSource.WithLabelValues(label, string(outcome)).Inc()
}
