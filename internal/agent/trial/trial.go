// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trial tries each change of rules that a node takes, in parallel to the agent's other work. It probes the images that the node runs
// (docs/reference/semantics.md C9), looks at the pulls that fail (C10), and reports the result.
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

// How long a node waits before it requests lost images again, so that it soon stops reporting images that are available again. It waits twice as long
// each time.
const (
	askAgain  = 3 * time.Minute
	askRarely = time.Hour
)

// A brief failure of a registry must not fail a change. Before an image counts as lost, its registry is contacted this many more times, this long
// apart.
const (
	sureAfter = 2
	askSoon   = 2 * time.Second
)

// Config configures trials.
type Config struct {
	// Ask contacts registries by the rules that the node follows.
	Ask probe.Ask
	// Running returns the images that the node runs, and how many containers it found.
	Running func() (images []mirrors.Reference, containers int)
	// Unseen is the message if no container was found; "" if there may be none, so that this proves nothing.
	Unseen string
	// Delay returns how long a node that is no canary waits, so that not all nodes contact registries at the same time.
	Delay func() time.Duration
	// FailedPulls compares the pulls that failed since a change with those before it: see [sink.Witness].
	FailedPulls func(sink.Change) sink.FailedPulls
	// Changed is called when [Trials.Report] has news. It must not wait.
	Changed func()
}

// Trials are the trials of a node, which runs only one at a time. Their methods must not be called concurrently.
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

// Follow begins the trial of other rules, which the node follows from then on, once they are written. It ends the trial of the rules before. If the
// node is a canary, fleet returns the rules that it would have otherwise. These count as the rules before, even if the node itself had others.
func (t *Trials) Follow(accepted *sink.Accepted, since time.Time, written bool, fleet func() *sink.Accepted) {
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
	before := fleet()
	isCanary := before != nil
	if t.current != nil {
		t.current.goOn(accepted.Revision, isCanary)
		return
	}
	if !isCanary {
		if known == nil || known.Digest == accepted.Digest {
			return
		}
		before = known
	}
	change := probe.Change{Before: route.NewRouter(before.Rules), After: route.NewRouter(accepted.Rules)}
	ctx, cancel := context.WithCancel(context.Background())
	next := &trial{config: t.config, change: change, base: before.Digest, digest: accepted.Digest, since: since, isCanary: isCanary, cancel: cancel,
		state: state{revision: accepted.Revision, isTried: isCanary}}
	t.current = next
	t.running.Go(func() { next.run(ctx) })
}

// Report returns the report about the running trial; nil if there is none.
func (t *Trials) Report() *mirrorsetv1alpha1.Trial {
	if t.current == nil {
		return nil
	}
	return t.current.report()
}

// Close ends the running trial, and waits until its requests have ended.
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
	base     string // the digest of the rules that it is compared with
	digest   string // of those that the change led to
	since    time.Time
	isCanary bool // as it began
	cancel   context.CancelFunc

	mu    sync.Mutex
	state state
}

// run ends with the context, and before that when there is nothing more to find out.
func (t *trial) run(ctx context.Context) {
	if !t.isCanary && (!t.touchesAny() || !wait(ctx, t.config.Delay())) {
		return
	}
	f := t.look(ctx)
	for range sureAfter {
		if !slices.ContainsFunc(f.Lost, func(l probe.Lost) bool { return l.MayYetBe }) {
			break
		}
		if !wait(ctx, askSoon) {
			return
		}
		f = t.lookAgain(ctx, f)
	}
	for pause := askAgain; ctx.Err() == nil; pause = min(2*pause, askRarely) {
		t.found(f)
		if f.isFinal() || !wait(ctx, pause) {
			return
		}
		f = t.lookAgain(ctx, f)
	}
}

// look asks for what runs.
func (t *trial) look(ctx context.Context) findings {
	images, containers := t.config.Running()
	if containers == 0 && t.config.Unseen != "" {
		return findings{isUnseen: true}
	}
	return findings{Result: t.change.Probe(ctx, images, t.config.Ask)}
}

// lookAgain asks for what was lost and still runs, or for all where nothing could be asked for.
func (t *trial) lookAgain(ctx context.Context, f findings) findings {
	if len(f.Lost) == 0 {
		return t.look(ctx)
	}
	images, containers := t.config.Running()
	if containers == 0 && t.config.Unseen != "" {
		return f // for a moment, or else nothing new is known
	}
	still := slices.DeleteFunc(slices.Clone(f.Lost), func(l probe.Lost) bool { return !slices.Contains(images, l.Image) })
	if len(still) == 0 {
		return t.look(ctx)
	}
	f.Asked -= len(f.Lost) - len(still)
	f.Lost = t.change.Again(ctx, still, t.config.Ask)
	return f
}

// touchesAny reports whether there is anything to ask for.
func (t *trial) touchesAny() bool {
	images, _ := t.config.Running()
	return slices.ContainsFunc(images, t.change.Touches)
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
