// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/mirrorset/mirrorset/internal/controller/configmap"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// Records keep what all nodes were given (docs/semantics.md C7).
type Records interface {
	// Record keeps a payload that is published for all nodes; sets are those that it is of, or nil where it is a record itself.
	Record(ctx context.Context, p payload.Payload, sets []kinds.Set) error
	// Find returns the record of a text, and Latest the one with the highest revision; nil where there is none.
	Find(ctx context.Context, digest string) (*history.Record, error)
	Latest(ctx context.Context) (*history.Record, error)
}

// recordAgain is how long the manager waits after it could not record what it published.
const recordAgain = 10 * time.Second

// lookUp has a decision see the canaries, and the records that it needs. It returns the record that an undo names; nil for none.
func (p *Publisher) lookUp(ctx context.Context, current configmap.Current, seen *plan.Seen) (undone *history.Record, err error) {
	if p.Canaries != nil {
		canaries, err := p.canaries(ctx, current, seen.Rules)
		if err != nil {
			return nil, err
		}
		seen.Stages = &plan.Stages{Soak: p.Soak, Canaries: canaries}
	}
	if order := current.Rollout.Undone; order != nil {
		if undone, err = p.Records.Find(ctx, order.Digest); err != nil {
			return nil, err
		}
		seen.Undone = payloadOf(undone)
	}
	if current.Payload == nil && (p.Canaries != nil || current.Rollout.Paused != nil || current.Rollout.Undone != nil) {
		latest, err := p.Records.Latest(ctx)
		if err != nil {
			return nil, err
		}
		seen.Last = payloadOf(latest)
	}
	return undone, nil
}

func payloadOf(r *history.Record) *payload.Payload {
	if r == nil {
		return nil
	}
	p := r.Payload(r.Revision)
	return &p
}

// record keeps what was published for all nodes, with the sets that it is of, where it is of those that there are. Where it cannot, it says
// so once, and returns when to try again: what cannot be kept is published all the same.
func (p *Publisher) record(ctx context.Context, decision plan.Decision, sets []kinds.Set) (later time.Duration) {
	if decision.Why != "" {
		sets = nil
	}
	err := p.Records.Record(ctx, decision.Payload, sets)
	if err == nil {
		p.unrecorded = ""
		return 0
	}
	if err.Error() != p.unrecorded {
		p.unrecorded = err.Error()
		ctrl.LoggerFrom(ctx).Error(err, "What is published cannot be recorded", "triedAgainAfter", recordAgain.String())
	}
	return recordAgain
}

// outOf returns the sets that a record is not of.
func outOf(r history.Record, sets []kinds.Set) map[mirrors.Object]bool {
	out := make(map[mirrors.Object]bool)
	for i := range sets {
		if !r.Has(history.SetOf(&sets[i])) {
			out[sets[i].Ref()] = true
		}
	}
	return out
}

// canaries are the nodes that try changes, and where they are with what is published for them.
func (p *Publisher) canaries(ctx context.Context, current configmap.Current, rules []mirrors.Rule) ([]plan.Trier, error) {
	nodes, reports, err := fleet.List(ctx, p.Client)
	if err != nil && !meta.IsNoMatchError(err) {
		return nil, err
	}
	nodes = slices.DeleteFunc(nodes, func(n corev1.Node) bool { return !p.Canaries.Matches(k8slabels.Set(n.Labels)) })
	var changed map[string]bool
	if current.Canary != nil && current.Payload != nil {
		before, err := registriesconf.Decode(current.Payload.Text)
		if err != nil { // nobody knows what changed, so all counts
			before = nil
		}
		changed = mirrors.Changed(before, rules)
	}
	var canaries []plan.Trier
	for _, m := range fleet.Members(nodes, reports, p.Settings) {
		canaries = append(canaries, m.Trier(current.Canary, changed))
	}
	return canaries, nil
}
