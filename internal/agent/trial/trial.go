// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trial tries each change of rules that a node takes: beside all else that the agent does, it has the images probed that the node
// runs (docs/reference/semantics.md C9), looks at the pulls that fail (C10), and says what came of it.
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

// How long a node waits before it asks for images again that were lost, so that it does not say so for long once they can be had. It waits twice as
// long each time.
const (
	askAgain  = 3 * time.Minute
	askRarely = time.Hour
)

// A registry that fails for a moment must not fail a change: it is asked so many times more, after so long each, before an image counts as lost.
const (
	sureAfter = 2
	askSoon   = 2 * time.Second
)

// Config is what trials work with.
type Config struct {
	// Ask asks registries by the rules that the node follows.
	Ask probe.Ask
	// Running returns the images that the node runs, and how many containers it found.
	Running func() (images []mirrors.Reference, containers int)
	// Unseen is what to say where no container was found; "" where there may be none, which then proves nothing.
	Unseen string
	// Delay returns how long a node that is no canary waits, so that not all nodes ask at once.
	Delay func() time.Duration
	// FailedPulls compares the pulls that failed since a change with those before it: see [sink.Witness].
	FailedPulls func(sink.Change) sink.FailedPulls
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
// what it would have if it were none: that is what was before, whatever it had itself.
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
