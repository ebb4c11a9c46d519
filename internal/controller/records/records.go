// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package records keeps what all nodes were given as ControllerRevisions, and finds it again (docs/reference/semantics.md C7 and C8).
package records

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// patience bounds how long the publisher waits for a record to be written.
const patience = 10 * time.Second

// Recorder keeps the records. It is for one goroutine.
type Recorder struct {
	// Client writes records, and reads the manager's Deployment and the ConfigMap, which its cache may have.
	Client client.Client
	// Live reads records from the API server.
	Live client.Reader
	// Namespace is the manager's.
	Namespace string

	done   done               // what is recorded already
	known  []kept             // what there is; nil where it is to be listed
	latest *history.Record    // what all nodes had before, without its text; nil where that is not known
	logged map[types.UID]bool // objects that are no records
}

// done names a payload that is recorded.
type done struct {
	revision     int64
	digest, sets string
}

// kept is a record that exists.
type kept struct {
	name, digest string
	revision     int64
	preconditions
}

// preconditions name an object as it was seen, so that a manager that lost its lease destroys nothing of its successor's.
type preconditions struct {
	uid             types.UID
	resourceVersion string
}

// +kubebuilder:rbac:groups=apps,namespace=mirrorset-system,resources=controllerrevisions,verbs=list;create;patch;delete

// Record stores a payload that all nodes are given. It is called in every pass that has published the payload, or found it published, and
// does nothing if it is already recorded. The sets are those that the payload was made from. They are nil for an earlier payload that is
// published again, or that stays while others wait. After an error, the next call reads everything again.
func (r *Recorder) Record(ctx context.Context, p payload.Payload, sets []kinds.Set) error {
	this := done{p.Revision, p.Digest, p.Sets}
	if r.done == this || p.Provisional { // which takes nothing from a node that has rules
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := r.record(ctx, p, sets); err != nil {
		r.known = nil
		return fmt.Errorf("revision %d is published, but cannot be undone to later, because it is not in the history: %w", p.Revision, err)
	}
	r.done = this
	return nil
}

func (r *Recorder) record(ctx context.Context, p payload.Payload, sets []kinds.Set) error {
	if r.known == nil {
		if err := r.list(ctx, p.Revision); err != nil {
			return err
		}
	}
	if sets != nil && kinds.DigestOf(sets) != p.Sets {
		sets = nil // a record must not claim that a text was made from other sets
	}
	name := history.Name(p.Digest, p.Sets)
	at := slices.IndexFunc(r.known, func(k kept) bool { return k.name == name })
	if at < 0 && sets == nil {
		at = slices.IndexFunc(r.known, func(k kept) bool { return k.digest == p.Digest })
	}
	if at < 0 {
		if err := r.create(ctx, p, sets); err != nil {
			return err
		}
		return r.prune(ctx, p, name)
	}
	if err := r.raise(ctx, &r.known[at], p.Revision); err != nil {
		return err
	}
	err := r.prune(ctx, p, r.known[at].name)
	r.known = nil // the record before the next one is this one, so its sets must be read
	return err
}

// list finds out which records exist. A record later than the payload that all nodes have is not what they had before: another manager has
// published it since, or nobody did.
func (r *Recorder) list(ctx context.Context, revision int64) error {
	known := make([]kept, 0, history.Limit+1)
	r.latest = nil
	err := r.each(ctx, func(object *appsv1.ControllerRevision) error {
		record, err := history.Glance(object)
		if err != nil {
			return err
		}
		known = append(known, keptAs(object, record.Digest))
		if record.Revision <= revision && later(&record, r.latest) {
			r.latest = &record
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(known, func(a, b kept) int { return cmp.Compare(b.revision, a.revision) })
	r.known = known
	return nil
}

func keptAs(object *appsv1.ControllerRevision, digest string) kept {
	return kept{object.Name, digest, object.Revision, preconditions{object.UID, object.ResourceVersion}}
}

// later reports whether a record is later than another one, or there is no other.
func later(r, other *history.Record) bool {
	return other == nil || r.Revision > other.Revision || r.Revision == other.Revision && other.Published.Before(&r.Published)
}

// create writes a record that does not exist yet. The record is deleted with the manager's Deployment, as the agents are.
func (r *Recorder) create(ctx context.Context, p payload.Payload, sets []kinds.Set) error {
	manager := partial(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: operand.ManagerName}, manager)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if manager.DeletionTimestamp != nil {
		return nil
	}
	record := history.OfUnknown(p)
	if sets != nil {
		record = history.Of(p, sets, r.latest)
	}
	object, err := record.Object(r.Namespace)
	if err != nil {
		return err
	}
	if manager.UID != "" {
		object.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(manager, manager.GroupVersionKind())}
		object.OwnerReferences[0].BlockOwnerDeletion = nil // which some clusters want another right for
	}
	err = r.Client.Create(ctx, object, client.FieldOwner(payload.FieldManager))
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%w; delete it, unless the label app.kubernetes.io/component=%s shows that it is the record of another manager", err, history.Component)
	}
	if err != nil {
		return err
	}
	r.known = slices.Insert(r.known, 0, keptAs(object, record.Digest))
	record.Text = nil
	r.latest = &record
	return nil
}

// raise gives a record a later revision.
func (r *Recorder) raise(ctx context.Context, k *kept, revision int64) error {
	if k.revision >= revision {
		return nil
	}
	k.revision = revision
	apply := appsv1ac.ControllerRevision(k.name, r.Namespace).WithUID(k.uid).WithResourceVersion(k.resourceVersion).WithRevision(revision)
	err := r.Client.Apply(ctx, apply, client.FieldOwner(payload.FieldManager), client.ForceOwnership)
	if apierrors.IsInvalid(err) { // whose text has all that the object holds
		return fmt.Errorf("ControllerRevision %s is not as the manager writes it, so the manager cannot add a later revision to it; delete it", k.name)
	}
	return err
}

// prune deletes the records that are too many, but for that of the payload which all nodes have.
func (r *Recorder) prune(ctx context.Context, p payload.Payload, name string) error {
	surplus := surplusOf(r.known, p, name, "")
	if len(surplus) == 0 {
		return nil
	}
	undone, err := r.undone(ctx)
	if err != nil {
		return err
	}
	for _, k := range surplusOf(r.known, p, name, undone) {
		object := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: k.name}}
		err := r.Client.Delete(ctx, object, client.Preconditions{UID: &k.uid, ResourceVersion: &k.resourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		r.known = slices.DeleteFunc(r.known, func(other kept) bool { return other.uid == k.uid })
	}
	return nil
}

// surplusOf returns the surplus records, from the latest to the first. These have other sets than a later record of the same text, or are
// beyond the limit. This manager must not delete records that are later than the payload that all nodes have. The record of that payload,
// by its name, is never surplus, and neither is the latest record with the digest that an undo names.
func surplusOf(known []kept, p payload.Payload, name, undone string) (surplus []kept) {
	texts := map[string]bool{p.Digest: true}
	for _, k := range known {
		switch {
		case k.name == name || k.revision > p.Revision:
		case texts[k.digest] || len(texts) >= history.Limit && k.digest != undone:
			surplus = append(surplus, k)
		default:
			texts[k.digest] = true
		}
	}
	return surplus
}

// undone returns the digest that an undo names; empty where nothing is undone.
func (r *Recorder) undone(ctx context.Context) (string, error) {
	configMap := partial(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: payload.ConfigMapName}, configMap)
	if client.IgnoreNotFound(err) != nil {
		return "", err
	}
	if undo := payload.ReadRollout(configMap.Annotations).Undone; undo != nil {
		return undo.Digest, nil
	}
	return "", nil
}

func partial(kind schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(kind)
	return object
}
