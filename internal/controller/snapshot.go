// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
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
	// HasStatus has the kinds whose CRD has room for our status. That of OpenShift has not.
	HasStatus map[*kinds.Kind]bool
	// Listed is when the sets were listed.
	Listed time.Time
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

// watch returns a source of the one request that there is, soon after each new snapshot.
func (b *Board) watch(one reconcile.Request, soon time.Duration) source.Source {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := make(chan event.GenericEvent, 1)
	b.watchers = append(b.watchers, w)
	return source.Channel(w, onEvery(one, soon))
}

// onEvery has every event, of whatever object, lead to one request. Those that come within a short time become one.
func onEvery(one reconcile.Request, soon time.Duration) handler.EventHandler {
	add := func(queue workqueue.TypedRateLimitingInterface[ctrl.Request]) { queue.AddAfter(one, soon) }
	return handler.TypedFuncs[client.Object, reconcile.Request]{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			add(q)
		},
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			add(q)
		},
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			add(q)
		},
		GenericFunc: func(_ context.Context, _ event.GenericEvent, q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			add(q)
		},
	}
}
