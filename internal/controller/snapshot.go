// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller/setstatus"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// Snapshot is what the publisher last made from all sets. It does not change after that.
type Snapshot struct {
	// Sets are those that were listed.
	Sets []kinds.Set
	// Result is what they were merged to.
	Result mirrors.Result
	// Revision and Digest belong to what is published. They are 0 and empty while nothing is.
	Revision int64
	Digest   string
	// Shadow names the sets that watch each source by it, as that ConfigMap's shadow.json does.
	Shadow map[string]string
	// Provisional means that nodes with rules wait for the next revision.
	Provisional bool
	// All is what is published for all nodes, if this manager wrote it or found it published, and nil otherwise.
	All *payload.Payload
	// Canary is what is published for canaries, or nil for nothing.
	Canary *payload.Canary
	// Stage is where the latest change is.
	Stage plan.Stage
	// Held is why what is published for all nodes differs from the sets. It is empty where it does not.
	Held string
	// Out are the sets whose present generation is not part of what is published, although it may have been before (C6).
	Out map[mirrors.Object]bool
	// HeldForGood means that this does not change until somebody changes the sets.
	HeldForGood bool
	// HasStatus has the kinds whose CRD has room for our status. That of OpenShift has not.
	HasStatus map[*kinds.Kind]bool
	// Listed is when the sets were listed.
	Listed time.Time
}

// published names what should be in force on the nodes.
func (s *Snapshot) published() *standing.Published {
	believed := payload.Believed(s.Listed.UnixMilli(), s.Revision)
	all := &standing.Published{Revision: s.Revision, Digest: s.Digest, Provisional: s.Provisional, Believed: believed}
	if s.Canary != nil {
		all.Canary, all.Canaries = &standing.Published{Revision: s.Canary.Revision, Digest: s.Canary.Digest, Believed: max(believed, s.Canary.Revision)}, s.Canary.Nodes
	}
	return all
}

// forSets is what the status of sets takes of it.
func (s *Snapshot) forSets() *setstatus.Published {
	p := &setstatus.Published{Published: *s.published(), Watched: s.Shadow, Held: s.Held, Reason: heldReasons[s.Stage], HeldForGood: s.HeldForGood, Out: s.Out}
	if s.Canary != nil {
		p.CanaryWatched = s.Canary.Shadow
	}
	return p
}

// heldReasons are those of sets that wait in a stage; in any other, they are not published.
var heldReasons = map[plan.Stage]string{
	plan.Canary:     configv1.ReasonCanaryProgressing,
	plan.Halted:     configv1.ReasonCanaryFailed,
	plan.NoCanaries: configv1.ReasonNoCanaries,
	plan.Paused:     configv1.ReasonPaused,
	plan.RolledBack: configv1.ReasonRolledBack,
}

// Board is where the publisher puts its snapshots, for the other reconcilers to see.
type Board struct {
	mu       sync.Mutex
	snapshot *Snapshot
	watchers []chan event.GenericEvent
}

// put replaces the snapshot, and wakes who watches the board.
func (b *Board) put(s Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.snapshot = &s
	for _, w := range b.watchers {
		select {
		case w <- event.GenericEvent{}:
		default: // it is awake already
		}
	}
}

// Get returns the last snapshot; nil before there is one.
func (b *Board) Get() *Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.snapshot
}

// Published names what should be in force on the nodes. It is nil before there is a snapshot.
func (b *Board) Published() *standing.Published {
	if s := b.Get(); s != nil {
		return s.published()
	}
	return nil
}

// ForAll returns what is published for all nodes, and the sets that it was made from. They are nil where it was made from other sets, or
// where that is not known.
func (b *Board) ForAll() (p *payload.Payload, sets []kinds.Set) {
	s := b.Get()
	switch {
	case s == nil:
		return nil, nil
	case s.Held != "":
		return s.All, nil
	}
	return s.All, append([]kinds.Set{}, s.Sets...) // never nil, even if there are no sets
}

// Watch returns a source of what the handler makes of each new snapshot.
func (b *Board) Watch(handle handler.EventHandler) source.Source {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := make(chan event.GenericEvent, 1)
	b.watchers = append(b.watchers, w)
	return source.Channel(w, handle)
}
