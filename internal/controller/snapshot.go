// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mirrorset/mirrorset/internal/controller/setstatus"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// Snapshot is what the publisher last made of all sets. It is not changed any more.
type Snapshot struct {
	// Sets are those that were listed.
	Sets []kinds.Set
	// Result is what they were merged to.
	Result mirrors.Result
	// Revision and Digest are those of what is published; 0 and empty while nothing is.
	Revision int64
	Digest   string
	// Provisional says that nodes with rules wait for what follows.
	Provisional bool
	// Held is why what is published is not what the sets say; empty where it is.
	Held string
	// HeldForGood says that it stays so until somebody changes the sets.
	HeldForGood bool
	// HasStatus has the kinds whose CRD has room for our status. That of OpenShift has not.
	HasStatus map[*kinds.Kind]bool
	// Listed is when the sets were listed.
	Listed time.Time
}

// published names what nodes are to have in force.
func (s *Snapshot) published() *standing.Published {
	return &standing.Published{Revision: s.Revision, Digest: s.Digest, Provisional: s.Provisional, Believed: payload.Believed(s.Listed.UnixMilli(), s.Revision)}
}

// forSets is what the status of sets takes of it.
func (s *Snapshot) forSets() *setstatus.Published {
	return &setstatus.Published{Published: *s.published(), Held: s.Held, HeldForGood: s.HeldForGood}
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

// Published names what nodes are to have in force; nil before there is a snapshot.
func (b *Board) Published() *standing.Published {
	if s := b.Get(); s != nil {
		return s.published()
	}
	return nil
}

// Watch returns a source of what the handler makes of each new snapshot.
func (b *Board) Watch(handle handler.EventHandler) source.Source {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := make(chan event.GenericEvent, 1)
	b.watchers = append(b.watchers, w)
	return source.Channel(w, handle)
}
