// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/mirrorset/mirrorset/internal/controller/configmap"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/compare"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// Records find what all nodes were given (docs/reference/semantics.md C7).
type Records interface {
	// Find returns the record of a text, and Latest returns the record with the highest revision, or nil where there is none.
	Find(ctx context.Context, digest string) (*history.Record, error)
	Latest(ctx context.Context) (*history.Record, error)
}

// lookUp has a decision see the canaries, and the records that it needs. It returns the record that an undo names; nil for none.
func (p *Publisher) lookUp(ctx context.Context, current configmap.Current, seen *plan.Seen) (undone *history.Record, err error) {
	if p.Canaries != nil {
		canaries, err := p.canaries(ctx, current, seen.Rules)
		if err != nil {
			return nil, err
		}
		seen.Stages = &plan.Stages{Soak: p.Soak, Canaries: canaries}
	}
	order := current.Rollout.Undone
	if order == nil {
		p.undone = nil // by the next order, the same text may be of other sets
	} else {
		if p.undone == nil || p.undone.Digest != order.Digest { // else a pass would read all records
			if p.undone, err = p.Records.Find(ctx, order.Digest); err != nil {
				return nil, err
			}
		}
		undone = p.undone
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

// ofCanaries passes events of nodes that are canaries, or were.
func (p *Publisher) ofCanaries() predicate.Predicate {
	is := func(o client.Object) bool { return p.Canaries.Matches(k8slabels.Set(o.GetLabels())) }
	return predicate.And(fleet.NodePredicate, predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return is(e.Object) },
		DeleteFunc: func(e event.DeleteEvent) bool { return is(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return is(e.ObjectOld) || is(e.ObjectNew) },
	})
}

// canaries are the nodes that try changes, with their progress on what is published for them.
func (p *Publisher) canaries(ctx context.Context, current configmap.Current, rules []mirrors.Rule) ([]plan.Trier, error) {
	nodes, reports, err := fleet.List(ctx, p.Client)
	if err != nil && !meta.IsNoMatchError(err) {
		return nil, err
	}
	all := len(fleet.Members(nodes, reports, p.Settings))
	nodes = slices.DeleteFunc(nodes, func(n corev1.Node) bool { return !p.Canaries.Matches(k8slabels.Set(n.Labels)) })
	members := fleet.Members(nodes, reports, p.Settings)
	p.warnOfAll(ctx, len(members) > 0 && len(members) == all)
	var changed map[string]bool
	if current.Canary != nil {
		var before []mirrors.Rule // if it is not known, everything counts as changed
		if current.Payload != nil {
			if before, err = registriesconf.Decode(current.Payload.Text); err != nil {
				before = nil
			}
		}
		changed = compare.Changed(before, rules)
	}
	var canaries []plan.Trier
	for _, m := range members {
		canaries = append(canaries, m.Trier(current.Canary, changed))
	}
	return canaries, nil
}

// warnOfAll warns once that canaries have no use if the selector matches all nodes, because each change then reaches all of them at the
// same time.
func (p *Publisher) warnOfAll(ctx context.Context, areCanaries bool) {
	if areCanaries && !p.allCanaries {
		ctrl.LoggerFrom(ctx).Info("All nodes with an agent are canaries, so each change reaches all of them immediately; choose fewer nodes with --canary-selector", "canarySelector", p.Canaries.String())
	}
	p.allCanaries = areCanaries
}
