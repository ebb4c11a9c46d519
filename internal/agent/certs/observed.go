// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"iter"
	"time"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/redirect/health"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
	"github.com/mirrorset/mirrorset/internal/redirect/watched"
)

// observed is what the redirector has seen of pulls.
type observed struct {
	health  *health.Memory
	watched *watched.Memory
}

func newObserved(env sink.Env) observed {
	return observed{health: health.New(env.Wake), watched: watched.New(env.Wake)}
}

// tried takes note of what a try of a mirror came to.
func (o *observed) tried(t tries.Try) {
	o.health.Note(health.Try{Mirror: t.Mirror, Repository: t.Repository, Outcome: t.Outcome, Why: t.Why, At: t.At})
}

// keep has it go by these rules.
func (o *observed) keep(rules *sink.Accepted) {
	o.health.Keep(locations(rules.Rules))
	o.watched.Keep(sources(rules.Shadow))
}

// locations are those of all mirrors of the rules, some of them several times.
func locations(rules []mirrors.Rule) iter.Seq[mirrors.Scope] {
	return func(yield func(mirrors.Scope) bool) {
		for i := range rules {
			for _, m := range rules[i].Mirrors {
				if !yield(m.Location) {
					return
				}
			}
		}
	}
}

// sources are those that sets in shadow mode watch.
func sources(shadow map[string]string) iter.Seq[mirrors.Scope] {
	return func(yield func(mirrors.Scope) bool) {
		for source := range shadow {
			if !yield(mirrors.Scope(source)) {
				return
			}
		}
	}
}

// Observed returns what the redirector has seen of containerd's pulls. It sees them while it serves.
func (r *redirector) Observed(now time.Time) (o sink.Observed) {
	if r.listening != nil {
		o.Runtime = nodecheck.Containerd
	}
	for _, f := range r.observed.health.Faults(now) {
		o.Faults = append(o.Faults, sink.MirrorFault{Mirror: f.Mirror, State: string(f.State), Since: f.Since, Why: f.Why})
	}
	for _, w := range r.observed.watched.All() {
		o.WouldRefuse = append(o.WouldRefuse, sink.WouldRefuse(w))
	}
	return o
}
