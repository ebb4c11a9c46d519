// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package configmap reads and writes the one ConfigMap that agents follow. It contains what all nodes and what canaries should have, and
// the orders of people.
package configmap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
)

// crdAnnotation holds the UIDs of the CRDs that the published sets came from (see [writeUIDs]).
const crdAnnotation = "mirrorset.io/crd-uid"

var labels = map[string]string{
	"app.kubernetes.io/name":       "mirrorset",
	"app.kubernetes.io/component":  "registries-conf",
	"app.kubernetes.io/managed-by": payload.FieldManager,
}

// Keeper keeps the ConfigMap of one namespace. It is for one goroutine, but for [Keeper.IsOwn].
type Keeper struct {
	// Client writes it, and Live reads it from the API server and not from a cache.
	Client client.Client
	Live   client.Reader
	// Namespace is the one of the ConfigMap.
	Namespace string
	// Publishing is called with each revision that is about to be written. It may be nil.
	Publishing func(revision int64, digest string, at time.Time)

	uids     string // of the CRDs that the rules came from which this keeper wrote last, as in the annotation
	restores restores
	own      own
}

// Current is the ConfigMap as the API server has it.
type Current struct {
	// Payload is what it has for all nodes, and Canary what for canaries; nil for nothing, or where that is not complete.
	Payload *payload.Payload
	Canary  *payload.Canary
	// Rollout is what people ordered, and what must not be tried again.
	Rollout payload.Rollout

	configMap *corev1.ConfigMap // nil where there is none
	damage    string            // why it is not complete
	isNewer   bool              // that is because a newer manager wrote it
}

// Read reads the ConfigMap. One that is damaged counts for nothing but its being there, and what people ordered.
func (k *Keeper) Read(ctx context.Context) (Current, error) {
	var cm corev1.ConfigMap
	err := k.Live.Get(ctx, types.NamespacedName{Namespace: k.Namespace, Name: payload.ConfigMapName}, &cm)
	if apierrors.IsNotFound(err) {
		return Current{}, nil
	}
	if err != nil {
		return Current{}, err
	}
	current := Current{configMap: &cm, Rollout: payload.ReadRollout(cm.Annotations)}
	switch content, err := payload.Read(&cm); {
	case err != nil:
		current.damage = err.Error()
		current.isNewer = errors.Is(err, payload.ErrNewer)
	default:
		current.Payload = &content
	}
	if current.Canary, err = payload.ReadCanary(&cm); err != nil && current.damage == "" {
		current.damage = err.Error()
	}
	return current, nil
}

// sayWhy logs why an incomplete ConfigMap is written again.
func (c Current) sayWhy(ctx context.Context) {
	log := ctrl.LoggerFrom(ctx)
	switch {
	case c.isNewer:
		log.Info("Publishing again, in this version's format, the rules that a newer manager published", "cause", c.damage)
	case c.damage != "":
		log.Info("The published ConfigMap was damaged; publishing it again", "cause", c.damage)
	}
}

// Seen returns the part of the ConfigMap that decisions use. This keeper remembers the CRDs that the rules came from once it has written
// some. If somebody changes that annotation, the manager must not treat a CRD as new and wait for its sets.
func (k *Keeper) Seen(c Current) plan.Published {
	if c.configMap == nil {
		return plan.Published{}
	}
	uids := c.configMap.Annotations[crdAnnotation]
	if k.uids != "" {
		uids = k.uids
	}
	return plan.Published{Exists: true, Payload: c.Payload, Canary: c.Canary, Rollout: c.Rollout, Sources: readUIDs(uids)}
}

// Outcome is the result of a write.
type Outcome struct {
	// Used means that the revisions of the content may be in the ConfigMap, whether or not there was an error.
	Used bool
	// Later is how long to wait where nothing was done yet.
	Later time.Duration
}

// Write applies a content unless the ConfigMap is already as it should be. It sends the resource version of the live read, so that a
// manager that lost its lease meanwhile cannot overwrite its successor.
func (k *Keeper) Write(ctx context.Context, c Current, next Content, sources []plan.Source) (Outcome, error) {
	data, binaryData, err := next.DataBeside(next.Canary)
	if err != nil {
		return Outcome{}, err
	}
	annotations := next.annotations()
	annotations[crdAnnotation] = writeUIDs(sources)
	c.keepOrders(annotations)
	says, leftovers := c.says(annotations, data, binaryData), c.leftovers(annotations, data)
	if says && len(leftovers) == 0 {
		k.uids = annotations[crdAnnotation]
		return Outcome{Used: true}, nil
	}
	if c.Payload == nil || c.Payload.Digest == next.Digest && c.triesThat(next.Canary) { // otherwise agents may take it for ours, so the manager corrects it immediately
		if later := k.restores.left(next.name(), time.Now()); later > 0 {
			return Outcome{Later: later}, nil
		}
	}
	if says {
		return Outcome{Used: true}, k.remove(ctx, c, leftovers)
	}
	c.sayWhy(ctx)
	if c.configMap != nil && c.configMap.Immutable != nil && *c.configMap.Immutable {
		if err := discard(ctx, k.Client, c.configMap, "is immutable"); err != nil {
			return Outcome{Used: true}, err
		}
		c.configMap = nil
	}
	k.tell(c, next)
	apply := corev1ac.ConfigMap(payload.ConfigMapName, k.Namespace).
		WithLabels(labels).WithAnnotations(annotations).WithData(data).WithBinaryData(binaryData)
	if c.configMap != nil {
		apply = apply.WithResourceVersion(c.configMap.ResourceVersion)
	}
	err = k.apply(ctx, apply)
	if apierrors.IsInvalid(err) && c.hasMore(annotations, data, binaryData) {
		if err := discard(ctx, k.Client, c.configMap, "holds so much data of others that the rules do not fit"); err != nil {
			return Outcome{Used: true}, err
		}
		apply.ResourceVersion = nil
		err = k.apply(ctx, apply)
	}
	if err != nil {
		return Outcome{Used: true}, fmt.Errorf("publishing revision %d: %w", next.Revision, err)
	}
	k.restores.done(next.name(), time.Now())
	k.uids = annotations[crdAnnotation]
	next.log(ctx)
	return Outcome{Used: true}, k.removeLeftovers(ctx, leftovers, annotations, data)
}

// tell passes on the revisions that are about to be written.
func (k *Keeper) tell(c Current, next Content) {
	if k.Publishing == nil {
		return
	}
	if c.Payload == nil || c.Payload.Revision != next.Revision {
		k.Publishing(next.Revision, next.Digest, time.Now())
	}
	if next.Canary != nil && (c.Canary == nil || c.Canary.Revision != next.Canary.Revision) {
		k.Publishing(next.Canary.Revision, next.Canary.Digest, time.Now())
	}
}

// discard deletes the ConfigMap that was read, which cannot be changed to what it should be.
func discard(ctx context.Context, c client.Writer, cm *corev1.ConfigMap, why string) error {
	ctrl.LoggerFrom(ctx).Info("The published ConfigMap " + why + "; deleting it and creating it again")
	err := c.Delete(ctx, cm, client.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion})
	if err != nil {
		return fmt.Errorf("deleting the ConfigMap, which %s: %w", why, err)
	}
	return nil
}

// hasMore reports whether the ConfigMap has other content that takes up its space.
func (c Current) hasMore(annotations, data map[string]string, binaryData map[string][]byte) bool {
	return c.configMap != nil &&
		(hasOthers(c.configMap.Annotations, annotations) || hasOthers(c.configMap.Data, data) || hasOthers(c.configMap.BinaryData, binaryData))
}

func hasOthers[V any](have, want map[string]V) bool {
	for k := range have {
		if _, ok := want[k]; !ok {
			return true
		}
	}
	return false
}

// says reports whether the ConfigMap already has all of this. It may have other content too.
func (c Current) says(annotations, data map[string]string, binaryData map[string][]byte) bool {
	return c.configMap != nil &&
		hasAll(c.configMap.Labels, labels) &&
		hasAll(c.configMap.Annotations, annotations) &&
		hasAll(c.configMap.Data, data) &&
		hasBytes(c.configMap.BinaryData, binaryData)
}

func hasBytes(have, want map[string][]byte) bool {
	for k, v := range want {
		if !bytes.Equal(have[k], v) {
			return false
		}
	}
	return true
}

func hasAll(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// writeUIDs writes down which CRDs sets came from: that of ImageDigestMirrorSets by its UID alone, as ever, and those of other kinds as
// Kind=UID, where there are sets of them.
func writeUIDs(sources []plan.Source) string {
	var all []string
	others, hasDigests := false, true
	for _, s := range sources {
		switch {
		case s.Kind == kinds.Digest.Name:
			all, hasDigests = append(all, s.UID), s.Sets > 0
		case s.Sets > 0:
			all, others = append(all, s.Kind+"="+s.UID), true
		}
	}
	if others && !hasDigests { // whose CRD may be replaced without a loss
		all = append(all, kinds.Digest.Name+"=")
	}
	return strings.Join(all, ",")
}

// readUIDs reads what [writeUIDs] wrote.
func readUIDs(text string) map[string]string {
	uids := make(map[string]string)
	for part := range strings.SplitSeq(text, ",") {
		kind, uid, ok := strings.Cut(part, "=")
		if !ok {
			kind, uid = kinds.Digest.Name, part
		}
		if uids[kind] = uid; uid == "" {
			delete(uids, kind)
		}
	}
	return uids
}
