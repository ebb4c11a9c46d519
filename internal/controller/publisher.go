// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controller has the manager's reconcilers: the [Publisher], from all ImageDigestMirrorSets to the one ConfigMap that
// the agents follow; the [Operand], the agents themselves; the [FleetKeeper], one MirrorNode for each node; and the
// [StatusWriter], back from the nodes to each set. Each has one request, on which it looks at everything.
package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// CRDName is the name of the CustomResourceDefinition that the sets come from.
const CRDName = "imagedigestmirrorsets.config.openshift.io"

// crdAway is how often the manager looks for a CRD that is missing, on its way out or just back, besides the events.
const crdAway = time.Second

// betweenChanges is how long what is published stays at the least, so that a storm of changes reaches the nodes in few steps. A
// change by itself is published at once.
const betweenChanges = time.Second

// watchStart bounds the wait for the watch of the sets to start; a failed start is tried again.
const watchStart = 10 * time.Second

// crdReplaced is how old another CRD than the one that the published rules came from must be before its having no sets is
// believed. It leaves time to bring the sets back.
const crdReplaced = 10 * time.Minute

// Publisher keeps the ConfigMap in step with all sets. Whatever event comes, it lists everything and makes one pure call.
type Publisher struct {
	// Client applies the ConfigMap.
	Client client.Client
	// Live reads from the API server and not from a cache, so that nothing is decided on an old state.
	Live client.Reader
	// Namespace is the one of the ConfigMap.
	Namespace string
	// Insecure are the scopes that nodes reach without TLS checks.
	Insecure mirrors.Scopes
	// Board is told what was made of the sets.
	Board *Board
	// Metrics, if they are not nil, are told what was published, and how long it took to make.
	Metrics *Metrics

	watchSets    func(context.Context) error // starts the watch of the sets
	watching     bool
	lastRevision int64     // the highest published by this process
	lastChange   time.Time // when that was
	lastCRD      types.UID // the CRD of the last pass
	pollUntil    time.Time // while the watch of the sets of a new CRD may still be starting
	logged       string    // the last findings, so that each is logged once
	held         string    // why nothing was published, likewise
	unreported   string    // why what nodes report cannot be read, likewise
	overtaken    time.Time // when the same text was last published again because of what nodes reported
}

// +kubebuilder:rbac:groups=config.openshift.io,resources=imagedigestmirrorsets,verbs=list;watch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=imagedigestmirrorsets.config.openshift.io,verbs=get;list;watch
// +kubebuilder:rbac:groups="",namespace=mirrorset-system,resources=configmaps,resourceNames=containers-registries.conf,verbs=get;list;watch;create;patch;delete

// SetupWithManager has every event about a set, the CRD or the ConfigMap lead to the one request there is. The sets are
// watched from when they are served, so that a manager can start while their CRD is away.
func (p *Publisher) SetupWithManager(mgr ctrl.Manager) error {
	toOne := func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: p.Namespace, Name: payload.ConfigMapName}}}
	}
	one := handler.EnqueueRequestsFromMapFunc(toOne)
	c, err := ctrl.NewControllerManagedBy(mgr).Named("publisher").
		WatchesMetadata(&apiextensionsv1.CustomResourceDefinition{}, one).
		WatchesMetadata(&corev1.ConfigMap{}, one).
		Build(p)
	if err == nil {
		err = watchNodes(mgr, c, one, predicate.NewPredicateFuncs(p.isAhead))
	}
	if err != nil {
		return err
	}
	changed := predicate.Funcs{UpdateFunc: setChanged}
	p.watchSets = func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, watchStart)
		defer cancel()
		sets := &metav1.PartialObjectMetadata{}
		sets.SetGroupVersionKind(configv1.GroupVersion.WithKind(configv1.KindImageDigestMirrorSet))
		if _, err := mgr.GetCache().GetInformer(ctx, sets); err != nil { // returns once it is in step
			return fmt.Errorf("watching sets: %w", err)
		}
		return c.Watch(source.Kind[client.Object](mgr.GetCache(), sets, one, changed))
	}
	return nil
}

// Reconcile publishes, and has the sets watched from when they are served.
func (p *Publisher) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	result, served, err := p.Publish(ctx)
	if served && !p.watching {
		watched := p.watchSets(ctx)
		p.watching = watched == nil
		err = errors.Join(err, watched)
		result.RequeueAfter = 1 // for what happened between the list and the start of the watch
	}
	if errors.Is(err, payload.ErrTooLarge) {
		return ctrl.Result{}, reconcile.TerminalError(err)
	}
	return result, err
}

// Publish makes the ConfigMap say what the sets say now, if it does not. Served tells whether there are sets to be had.
func (p *Publisher) Publish(ctx context.Context) (result ctrl.Result, served bool, err error) {
	listed := time.Now()
	sets, crd, err := p.listSets(ctx)
	if err != nil {
		return result, false, err
	}
	if crd == nil {
		p.hold(ctx, "the CRD is missing, being deleted or not yet served")
		return ctrl.Result{RequeueAfter: crdAway}, false, nil
	}
	now := time.Now()
	result = p.poll(crd, now)
	snapshot := Snapshot{Sets: sets, HasStatus: hasStatus(crd), Listed: listed}
	began := time.Now()
	snapshot.Result = mirrors.Merge(mirrors.Input{Sets: sets, Insecure: p.Insecure})
	text, err := registriesconf.Encode(snapshot.Result.Rules)
	p.Metrics.rendered(time.Since(began))
	p.logFindings(ctx, snapshot.Result.Findings)
	if err != nil {
		return result, true, err
	}
	current, err := p.current(ctx)
	if err != nil {
		return result, true, err
	}
	if current.payload != nil { // which stays if nothing else is published
		snapshot.Revision, snapshot.Digest = current.payload.Revision, current.payload.Digest
	}
	revision, again := p.revision(current, text, p.reports(ctx), now)
	if again > 0 && result.RequeueAfter == 0 {
		result.RequeueAfter = again
	}
	next := payload.New(revision, text)
	next.Sets = payload.DigestOfSets(payload.StatesOf(configv1.KindImageDigestMirrorSet, sets))
	if wait := current.distrusts(len(sets), crd, now); wait > 0 {
		if result.RequeueAfter == 0 {
			result.RequeueAfter = wait
		}
		if current.configMap != nil && !current.isEmpty() {
			snapshot.Held = "the CRD was replaced and has no sets; they have until " + now.Add(wait).UTC().Format(time.RFC3339) + " to come back"
			p.hold(ctx, snapshot.Held)
			p.Board.put(snapshot)
			return result, true, nil
		}
		next.Provisional = true
	}
	p.held = ""
	if have := current.payload; have == nil || have.Revision != next.Revision || have.Sets != next.Sets {
		if left := p.lastChange.Add(betweenChanges).Sub(now); left > 0 && have != nil {
			return ctrl.Result{RequeueAfter: left}, true, nil // with what comes meanwhile
		}
		p.lastChange = now
	}
	return result, true, p.publishAndTell(ctx, current, next, crd, snapshot)
}

// publishAndTell has the snapshot say what came of it.
func (p *Publisher) publishAndTell(ctx context.Context, current published, next payload.Payload, crd *apiextensionsv1.CustomResourceDefinition, snapshot Snapshot) error {
	err := p.publish(ctx, current, next, crd)
	switch {
	case apierrors.IsConflict(err):
		return err // which the next pass settles
	case err != nil:
		snapshot.Held = err.Error()
	default:
		snapshot.Revision, snapshot.Digest, snapshot.Provisional = next.Revision, next.Digest, next.Provisional
	}
	p.Board.put(snapshot)
	return err
}

// reports returns what nodes have in force. The way to the nodes does not depend on the way back: where that cannot be had,
// as before its CRD is there, what is published is all that is known.
func (p *Publisher) reports(ctx context.Context) []mirrorsetv1alpha1.MirrorNode {
	bounded, cancel := context.WithTimeout(ctx, watchStart)
	defer cancel()
	var nodes mirrorsetv1alpha1.MirrorNodeList
	if err := p.Client.List(bounded, &nodes); err != nil {
		if err.Error() != p.unreported {
			p.unreported = err.Error()
			ctrl.LoggerFrom(ctx).Error(err, "What nodes report cannot be read")
		}
		return nil
	}
	p.unreported = ""
	return nodes.Items
}

// isAhead tells whether a node has in force what is not published, as after etcd was restored from a snapshot.
func (p *Publisher) isAhead(object client.Object) bool {
	node, ok := object.(*mirrorsetv1alpha1.MirrorNode)
	published := p.Board.Get()
	return ok && published != nil && ahead(node, published.Revision, published.Digest)
}

// ahead tells whether what a node has in force is newer than a revision, or other content under the same one.
func ahead(node *mirrorsetv1alpha1.MirrorNode, revision int64, digest string) bool {
	has := node.Status
	return has.Revision > revision || has.Revision == revision && has.Digest != digest
}

// hold says, once, why what is published stays as it is.
func (p *Publisher) hold(ctx context.Context, why string) {
	if p.held != why {
		p.held = why
		ctrl.LoggerFrom(ctx).Info("What is published stays as it is: "+why, "crd", CRDName)
	}
}

// listSets lists all sets. It returns no CRD where the list cannot be believed: sets that are missing because their CRD is
// going away, or not yet back, were not deleted by anyone. The CRD is read before and after the list, because its deletion
// begins before that of the sets.
func (p *Publisher) listSets(ctx context.Context) ([]configv1.ImageDigestMirrorSet, *apiextensionsv1.CustomResourceDefinition, error) {
	before, err := p.servedCRD(ctx)
	if err != nil || before == nil {
		return nil, nil, err
	}
	var list configv1.ImageDigestMirrorSetList
	if err := p.Live.List(ctx, &list); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil, nil
		}
		return nil, nil, fmt.Errorf("listing sets: %w", err)
	}
	after, err := p.servedCRD(ctx)
	if err != nil || after == nil || after.UID != before.UID {
		return nil, nil, err
	}
	return list.Items, after, nil
}

// servedCRD returns the CRD if it is established and stays.
func (p *Publisher) servedCRD(ctx context.Context) (*apiextensionsv1.CustomResourceDefinition, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := p.Live.Get(ctx, types.NamespacedName{Name: CRDName}, &crd); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if crd.DeletionTimestamp != nil {
		return nil, nil
	}
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
			return &crd, nil
		}
	}
	return nil, nil
}

// poll has sets looked for every second for a minute after the CRD came back, because the watch that broke with the old
// one takes its time to start again.
func (p *Publisher) poll(crd *apiextensionsv1.CustomResourceDefinition, now time.Time) ctrl.Result {
	if p.lastCRD != "" && p.lastCRD != crd.UID {
		p.pollUntil = now.Add(time.Minute)
	}
	p.lastCRD = crd.UID
	if now.Before(p.pollUntil) {
		return ctrl.Result{RequeueAfter: crdAway}
	}
	return ctrl.Result{}
}

// logFindings logs findings that are not those of the last pass.
func (p *Publisher) logFindings(ctx context.Context, findings []mirrors.Finding) {
	if now := fmt.Sprint(findings); now != p.logged {
		p.logged = now
		for _, f := range findings {
			ctrl.LoggerFrom(ctx).Info(f.Message, "reason", f.Reason, "sets", mirrors.Names(f.Entries), "entries", f.Path())
		}
	}
}
