// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controller has the manager's reconcilers: the [Publisher], from all ImageDigestMirrorSets to the one ConfigMap that
// the agents follow, and the [StatusWriter], back from the nodes to each set. In rooms of their own are the agents themselves, and
// one MirrorNode for each node. Each has one request, on which it looks at everything.
package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mirrorset/mirrorset/internal/controller/configmap"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
)

// crdBack is how often the manager looks for sets after their CRD came back, besides the events.
const crdBack = time.Second

// watchStart bounds the wait for the watch of the sets to start; a failed start is tried again.
const watchStart = 10 * time.Second

// Publisher keeps the ConfigMap in step with all sets. Whatever event comes, it lists everything, and asks internal/plan what to do.
type Publisher struct {
	// Client applies the ConfigMap.
	Client client.Client
	// Live reads from the API server and not from a cache, so that nothing is decided on an old state.
	Live client.Reader
	// Namespace is the one of the ConfigMap.
	Namespace string
	// Insecure are the scopes that nodes reach without TLS checks.
	Insecure mirrors.Scopes
	// Canaries selects the Nodes that try a change first, and Soak is how long it must be in force there. They are nil and 0 where each
	// change goes to all nodes at the same time (docs/reference/semantics.md C1).
	Canaries k8slabels.Selector
	Soak     time.Duration
	// Settings determine which nodes have an agent.
	Settings operand.AgentSettings
	// Records find what all nodes were given.
	Records Records
	// Board is told what was made of the sets.
	Board *Board
	// Metrics, if they are not nil, are told what was published, and how long it took to make.
	Metrics *Metrics

	watchSets  func(context.Context, *kinds.Kind) error // starts the watch of the sets of a kind
	watching   map[*kinds.Kind]bool
	history    plan.History
	keeper     *configmap.Keeper
	sets       *lister
	sightings  sightings
	lastCRDs   map[string]string // the UIDs of the CRDs of the last pass, by kind
	pollUntil  time.Time         // while the watch of the sets of a new CRD may still be starting
	logged     map[uint64]bool   // the findings of the last pass by their hashes, so that each is logged once
	held       string            // why nothing was published, likewise
	unreported string            // why the manager cannot read the reports of the nodes, likewise
	undone     *history.Record   // that of the last undo

	next atomic.Pointer[time.Time] // before which no change of a set is published; nil for a time that has passed

	allCanaries bool // all nodes were canaries in the last pass, likewise
}

// +kubebuilder:rbac:groups=config.openshift.io,resources=imagedigestmirrorsets;imagetagmirrorsets,verbs=list;watch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=imagedigestmirrorsets.config.openshift.io;imagetagmirrorsets.config.openshift.io,verbs=get;list;watch
// +kubebuilder:rbac:groups="",namespace=mirrorset-system,resources=configmaps,resourceNames=containers-registries.conf,verbs=get;list;watch;create;patch;delete

// SetupWithManager has every event about a set, a CRD or the ConfigMap lead to the one request there is. The sets are
// watched from when they are served, so that a manager can start while their CRD is away.
func (p *Publisher) SetupWithManager(mgr ctrl.Manager) error {
	request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: p.Namespace, Name: payload.ConfigMapName}}
	one := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request { return []reconcile.Request{request} })
	c, err := ctrl.NewControllerManagedBy(mgr).Named("publisher").
		WatchesMetadata(&corev1.ConfigMap{}, one, builder.WithPredicates(isNews(p.configMap()))).
		Build(p)
	if err == nil {
		err = watchCRDs(mgr, c, one)
	}
	if err == nil {
		err = fleet.WatchMirrorNodes(mgr, c, fleet.OnEvery(request), predicate.NewPredicateFuncs(p.concerns))
	}
	if err == nil && p.Canaries != nil {
		err = c.Watch(source.Kind[client.Object](mgr.GetCache(), &corev1.Node{}, one, p.ofCanaries()))
	}
	if err != nil {
		return err
	}
	changed := predicate.Funcs{UpdateFunc: setChanged}
	p.watchSets = func(ctx context.Context, kind *kinds.Kind) error {
		ctx, cancel := context.WithTimeout(ctx, watchStart)
		defer cancel()
		sets := &metav1.PartialObjectMetadata{}
		sets.SetGroupVersionKind(kind.GroupVersionKind())
		if _, err := mgr.GetCache().GetInformer(ctx, sets); err != nil { // returns once it is in step
			return fmt.Errorf("watching %s: %w", kind.Resource, err)
		}
		return c.Watch(source.Kind[client.Object](mgr.GetCache(), sets, fleet.OnEveryAfter(request, p.untilNext), changed))
	}
	return nil
}

// Reconcile publishes, and has the sets watched from when they are served.
func (p *Publisher) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	result, served, err := p.Publish(ctx)
	if served {
		for _, kind := range kinds.All {
			if p.watching[kind] {
				continue
			}
			watched := p.watchSets(ctx, kind)
			if p.watching == nil {
				p.watching = make(map[*kinds.Kind]bool)
			}
			p.watching[kind] = watched == nil
			err = errors.Join(err, watched)
			result.RequeueAfter = 1 // for what happened between the list and the start of the watch
		}
	}
	if errors.Is(err, payload.ErrTooLarge) || errors.Is(err, mirrors.ErrTooLarge) {
		return ctrl.Result{}, reconcile.TerminalError(err)
	}
	return result, err
}

// Publish makes the ConfigMap contain the current content of the sets, if it does not already. Served reports whether the API server serves
// sets.
func (p *Publisher) Publish(ctx context.Context) (result ctrl.Result, served bool, err error) {
	listed := time.Now()
	var current configmap.Current
	var unread error
	var reading sync.WaitGroup // meanwhile; what somebody changes of it after it was read is not overwritten
	reading.Go(func() { current, unread = p.configMap().Read(ctx) })
	sets, crds, err := p.lister().list(ctx)
	reading.Wait()
	var missing *missingError
	if err != nil && !errors.As(err, &missing) {
		return result, false, err
	}
	if missing != nil {
		var decision plan.Decision
		decision, p.history = plan.Decide(plan.Seen{Missing: missing.kind.Name}, p.history)
		p.hold(ctx, decision.Why)
		return ctrl.Result{RequeueAfter: decision.Again}, false, nil
	}
	snapshot := Snapshot{Sets: sets, HasStatus: crds.haveStatus(), Listed: listed}
	sources, now := crds.sources(sets), time.Now()
	if p.sightings == nil {
		p.sightings = make(sightings)
	}
	p.sightings.note(sources, sets, now)
	began := time.Now()
	snapshot.Result = kinds.Merge(sets, p.Insecure)
	text, encodeErr := encode(&snapshot.Result)
	p.Metrics.rendered(time.Since(began))
	p.logFindings(ctx, snapshot.Result.Findings)
	result = p.poll(sources, now)
	if unread != nil {
		return result, true, unread
	}
	if current.Payload != nil { // which stays if nothing else is published
		snapshot.Revision, snapshot.Digest, snapshot.Shadow = current.Payload.Revision, current.Payload.Digest, current.Payload.Shadow
	}
	snapshot.Canary = current.Canary
	if encodeErr != nil && current.Rollout.Undone == nil { // else no set is needed to go back
		snapshot.Held, snapshot.HeldForGood = encodeErr.Error(), errors.Is(encodeErr, mirrors.ErrTooLarge)
		p.Board.put(snapshot)
		return result, true, encodeErr
	}
	again, err := p.follow(ctx, current, plan.Seen{
		Now: now, Sources: sources, SetsDigest: kinds.DigestOf(sets), Published: p.configMap().Seen(current), Nodes: p.reports(ctx),
		Rules: snapshot.Result.Rules, Text: text, Format: formatOf(snapshot.Result.Rules), Blockers: blockersOf(snapshot.Result.Rules), Shadow: shadowOf(&snapshot.Result),
	}, snapshot)
	if again > 0 && (result.RequeueAfter == 0 || again < result.RequeueAfter) {
		result.RequeueAfter = again
	}
	return result, true, err
}

// follow does what the plan says, and returns after how long to look again; 0 for not before something happens.
func (p *Publisher) follow(ctx context.Context, current configmap.Current, seen plan.Seen, snapshot Snapshot) (again time.Duration, err error) {
	undone, err := p.lookUp(ctx, current, &seen)
	if err != nil {
		snapshot.Held = err.Error()
		p.Board.put(snapshot)
		return 0, err
	}
	var decision plan.Decision
	decision, p.history = plan.Decide(seen, p.history)
	snapshot.Stage, snapshot.Held = decision.Stage, decision.Why
	p.hold(ctx, decision.Why)
	switch decision.Do {
	case plan.Hold:
		p.Board.put(snapshot)
		return decision.Again, nil
	case plan.Wait:
		next := time.Now().Add(decision.Again)
		p.next.Store(&next)
		return decision.Again, nil
	}
	if undone != nil && decision.Why != "" {
		snapshot.Out = outOf(*undone, snapshot.Sets)
	}
	next := configmap.Content{Payload: decision.Payload, Canary: decision.Canary, Halted: decision.Halted}
	later, err := p.publishAndTell(ctx, current, next, seen.Sources, snapshot)
	if later > 0 && (decision.Again == 0 || later < decision.Again) {
		return later, err
	}
	return decision.Again, err
}

// publishAndTell publishes and records the result in the snapshot. It returns how long to wait where there is no result yet.
func (p *Publisher) publishAndTell(ctx context.Context, current configmap.Current, next configmap.Content, sources []plan.Source, snapshot Snapshot) (later time.Duration, err error) {
	outcome, err := p.configMap().Write(ctx, current, next, sources)
	if outcome.Used {
		p.noteRevisions(next)
	}
	switch {
	case outcome.Later > 0 || apierrors.IsConflict(err):
		return outcome.Later, err // which the next pass settles
	case err != nil:
		snapshot.Stage, snapshot.Held, snapshot.HeldForGood = "", err.Error(), errors.Is(err, payload.ErrTooLarge)
	default:
		snapshot.All, snapshot.Shadow = &next.Payload, next.Shadow
		snapshot.Revision, snapshot.Digest, snapshot.Provisional, snapshot.Canary = next.Revision, next.Digest, next.Provisional, next.Canary
	}
	p.Board.put(snapshot)
	return 0, err
}

// noteRevisions remembers what was published for later decisions, no matter what happens to the ConfigMap.
func (p *Publisher) noteRevisions(next configmap.Content) {
	p.history.Revision = next.Revision
	if next.Canary != nil {
		p.history.Tried = max(p.history.Tried, next.Canary.Revision)
	}
}

// lister lists the sets.
func (p *Publisher) lister() *lister {
	if p.sets == nil {
		p.sets = &lister{live: p.Live}
	}
	return p.sets
}

// configMap keeps what is published.
func (p *Publisher) configMap() *configmap.Keeper {
	if p.keeper == nil {
		p.keeper = &configmap.Keeper{Client: p.Client, Live: p.Live, Namespace: p.Namespace, Publishing: p.Metrics.publishing}
	}
	return p.keeper
}

// hold says, once, why nodes are not to have what the sets say.
func (p *Publisher) hold(ctx context.Context, why string) {
	if p.held != why {
		p.held = why
		if why != "" {
			ctrl.LoggerFrom(ctx).Info("Some nodes do not get the rules of the sets: " + why)
		}
	}
}

// poll has sets looked for every second for a minute after a CRD came back, because the watch that broke with the old
// one takes its time to start again.
func (p *Publisher) poll(sources []plan.Source, now time.Time) ctrl.Result {
	crds := uidsOf(sources)
	if p.lastCRDs != nil && !maps.Equal(p.lastCRDs, crds) {
		p.pollUntil = now.Add(time.Minute)
	}
	p.lastCRDs = crds
	if now.Before(p.pollUntil) {
		return ctrl.Result{RequeueAfter: crdBack}
	}
	return ctrl.Result{}
}
