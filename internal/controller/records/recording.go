// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// again is how long the manager waits after it could not record what it published.
const again = 10 * time.Second

// Board shows what is published.
type Board interface {
	// ForAll returns what is published for all nodes, and the sets that it was made from. They are nil where it is a record itself, or
	// where they are not known.
	ForAll() (p *payload.Payload, sets []kinds.Set)
	// Watch returns a source of what the handler makes of each change.
	Watch(handle handler.EventHandler) source.Source
}

// Keeper records what is published for all nodes. It works in parallel with the publisher, which must not wait for it
// (docs/reference/semantics.md C7).
type Keeper struct {
	Board    Board
	Recorder *Recorder

	failed string // the last error, so that each is logged once
}

// SetupWithManager has everything that is published lead to the one request there is.
func (k *Keeper) SetupWithManager(mgr ctrl.Manager) error {
	one := fleet.OnEvery(reconcile.Request{NamespacedName: types.NamespacedName{Name: "records"}})
	return ctrl.NewControllerManagedBy(mgr).Named("records").WatchesRawSource(k.Board.Watch(one)).Complete(k)
}

// Reconcile records the last snapshot. If it cannot, it logs that once, and tries again.
func (k *Keeper) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	p, sets := k.Board.ForAll()
	if p == nil {
		return ctrl.Result{}, nil
	}
	err := k.Recorder.Record(ctx, *p, sets)
	if err == nil {
		k.failed = ""
		return ctrl.Result{}, nil
	}
	if err.Error() != k.failed {
		k.failed = err.Error()
		ctrl.LoggerFrom(ctx).Error(err, "Cannot record the published rules in the history", "triedAgainAfter", again.String())
	}
	return ctrl.Result{RequeueAfter: again}, nil
}
