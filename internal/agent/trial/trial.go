// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trial tries each change of rules that a node takes: beside all else that the agent does, it has the images probed that the node
// runs (docs/semantics.md C9), looks at the pulls that fail (C10), and says what came of it.
package trial

import (
	"context"
	"slices"
	"sync"
	"time"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/probe"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// askAgain is how often a node asks for images that were lost, so that it does not say so for long once they can be had.
const askAgain = 3 * time.Minute

// Config is what trials work with.
type Config struct {
	// Ask asks registries by the rules that the node follows.
	Ask probe.Ask
	// Running returns the images that the node runs.
	Running func() []mirrors.Reference
	// Delay returns how long a node that is no canary waits, so that not all nodes ask at once.
	Delay func() time.Duration
	// FailedPulls compares the pulls that failed since a change with those before it: see [sink.Witness].
	FailedPulls func(touched func(host, repository string) bool, changed time.Time) sink.FailedPulls
	// Changed is called when [Trials.Report] has news. It must not wait.
	Changed func()
}

// Trials are those of a node, of which one is on at a time. Their methods are not to be called at once.
type Trials struct {
	config  Config
	known   *sink.Accepted // what the node had last in this process; nil until then
	current *trial         // of what the node has; nil where nothing was known before it
	running sync.WaitGroup
}

// New returns the trials of a node that has accepted these rules before, or none.
func New(config Config, accepted *sink.Accepted) *Trials {
	return &Trials{config: config, known: accepted}
}

// Follow begins the trial of other rules, which the node follows since then, once they are written, and ends that of those before. Where the node is a canary, fleet returns
// the rules that it would have if it were none: these are the ones before, whatever it had itself.
func (t *Trials) Follow(accepted *sink.Accepted, since time.Time, written bool, fleet func() (rules []mirrors.Rule, isCanary bool)) {
	if accepted == nil {
		return
	}
	if t.current != nil && t.current.digest != accepted.Digest {
		t.end()
	}
	if !written {
		return
	}
	known := t.known
	t.known = accepted
	if t.current != nil {
		t.current.renumber(accepted.Revision)
		return
	}
	before, isCanary := fleet()
	if !isCanary {
		if known == nil || known.Digest == accepted.Digest {
			return
		}
		before = known.Rules
	}
	change := probe.Change{Before: route.NewRouter(before), After: route.NewRouter(accepted.Rules)}
	ctx, cancel := context.WithCancel(context.Background())
	next := &trial{config: t.config, change: change, digest: accepted.Digest, since: since, isCanary: isCanary, cancel: cancel, state: state{revision: accepted.Revision, isOn: isCanary}}
	t.current = next
	t.running.Go(func() { next.run(ctx) })
}

// Report returns what there is to say of the trial that is on; nil for nothing.
func (t *Trials) Report() *mirrorsetv1alpha1.Trial {
	if t.current == nil {
		return nil
	}
	return t.current.report()
}

// Close ends the trial that is on, and waits until nothing is asked any more.
func (t *Trials) Close() {
	if t.current != nil {
		t.end()
	}
	t.running.Wait()
}

func (t *Trials) end() {
	t.current.cancel()
	t.current = nil
}

// trial is that of one change.
type trial struct {
	config   Config
	change   probe.Change
	digest   string // of the rules that the change led to
	since    time.Time
	isCanary bool
	cancel   context.CancelFunc

	mu    sync.Mutex
	state state
}

// run ends with the context, and before that when there is nothing more to find out.
func (t *trial) run(ctx context.Context) {
	if !t.isCanary {
		if !t.touchesAny() {
			return
		}
		t.update(func(s *state) { s.isOn = true })
		if !wait(ctx, t.config.Delay()) {
			return
		}
	}
	result := t.change.Probe(ctx, t.config.Running(), t.config.Ask)
	if ctx.Err() != nil {
		return
	}
	t.found(result)
	for len(result.Lost) > 0 && wait(ctx, askAgain) {
		if result.Lost = t.change.Again(ctx, result.Lost, t.config.Ask); ctx.Err() == nil {
			t.found(result)
		}
	}
}

// touchesAny reports whether there is anything to ask for.
func (t *trial) touchesAny() bool {
	return slices.ContainsFunc(t.config.Running(), t.change.Touches)
}

func wait(ctx context.Context, long time.Duration) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
