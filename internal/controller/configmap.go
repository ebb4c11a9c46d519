// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

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

// published is the ConfigMap as the API server has it.
type published struct {
	configMap *corev1.ConfigMap // nil where there is none
	payload   *payload.Payload  // nil where the ConfigMap is not a complete one
	canary    *payload.Canary   // nil where it has nothing for canaries, or that is not complete
	rollout   payload.Rollout   // what people ordered, and what is not to be tried again
	damage    string            // why it is not
	isNewer   bool              // that is because a newer manager wrote it
}

// readPublished reads the ConfigMap. One that is damaged counts for nothing but its being there.
func readPublished(ctx context.Context, live client.Reader, namespace string) (published, error) {
	var cm corev1.ConfigMap
	err := live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: payload.ConfigMapName}, &cm)
	if apierrors.IsNotFound(err) {
		return published{}, nil
	}
	if err != nil {
		return published{}, err
	}
	current := published{configMap: &cm, rollout: payload.ReadRollout(cm.Annotations)}
	switch content, err := payload.Read(&cm); {
	case err != nil:
		current.damage = err.Error()
		current.isNewer = errors.Is(err, payload.ErrNewer)
	default:
		current.payload = &content
	}
	if current.canary, err = payload.ReadCanary(&cm); err != nil && current.damage == "" {
		current.damage = err.Error()
	}
	return current, nil
}

// sayWhy logs why what is published is written again, where it was not complete.
func (c published) sayWhy(ctx context.Context) {
	log := ctrl.LoggerFrom(ctx)
	switch {
	case c.isNewer:
		log.Info("What a newer manager published is published anew, as this one does", "cause", c.damage)
	case c.damage != "":
		log.Info("What is published was damaged and is published again", "cause", c.damage)
	}
}

// seen is what a decision takes of it.
func (c published) seen() plan.Published {
	if c.configMap == nil {
		return plan.Published{}
	}
	return plan.Published{Exists: true, Payload: c.payload, Canary: c.canary, Rollout: c.rollout, Sources: readUIDs(c.configMap.Annotations[crdAnnotation])}
}

// seen is what a decision takes of the ConfigMap. Which CRDs the rules came from, this manager knows itself once it has published some:
// somebody who writes another annotation must not have it take a CRD for a new one, and wait for its sets.
func (p *Publisher) seen(c published) plan.Published {
	seen := c.seen()
	if seen.Exists && p.uids != "" {
		seen.Sources = readUIDs(p.uids)
	}
	return seen
}

// publish applies the ConfigMap unless it is as it should be. The resource version of the live read goes along, so that a
// manager that lost its lease meanwhile cannot overwrite its successor. It returns how long to wait where that is to be done later.
func (p *Publisher) publish(ctx context.Context, c published, next content, sources []plan.Source) (later time.Duration, err error) {
	data, binaryData, err := next.DataBeside(next.canary)
	if err != nil {
		return 0, err
	}
	annotations := next.annotations()
	annotations[crdAnnotation] = writeUIDs(sources)
	c.keepOrders(annotations)
	says, leftovers := c.says(annotations, data, binaryData), c.leftovers(annotations, data)
	if says && len(leftovers) == 0 {
		p.noteRevisions(next)
		p.uids = annotations[crdAnnotation]
		return 0, nil
	}
	if c.payload == nil || c.payload.Digest == next.Digest { // else agents may take it for ours, and it goes at once
		if later := p.restores.left(next.name(), time.Now()); later > 0 {
			return later, nil
		}
	}
	if says {
		return 0, p.remove(ctx, c, leftovers)
	}
	p.noteRevisions(next)
	c.sayWhy(ctx)
	if c.configMap != nil && c.configMap.Immutable != nil && *c.configMap.Immutable {
		if err := discard(ctx, p.Client, c.configMap, "was made immutable"); err != nil {
			return 0, err
		}
		c.configMap = nil
	}
	if c.payload == nil || c.payload.Revision != next.Revision {
		p.Metrics.publishing(next.Revision, next.Digest, time.Now())
	}
	if next.canary != nil && (c.canary == nil || c.canary.Revision != next.canary.Revision) {
		p.Metrics.publishing(next.canary.Revision, next.canary.Digest, time.Now())
	}
	apply := corev1ac.ConfigMap(payload.ConfigMapName, p.Namespace).
		WithLabels(labels).WithAnnotations(annotations).WithData(data).WithBinaryData(binaryData)
	if c.configMap != nil {
		apply = apply.WithResourceVersion(c.configMap.ResourceVersion)
	}
	err = p.Client.Apply(ctx, apply, client.FieldOwner(payload.FieldManager), client.ForceOwnership)
	if apierrors.IsInvalid(err) && c.hasMore(annotations, data, binaryData) {
		if err := discard(ctx, p.Client, c.configMap, "holds so much foreign data that the rules do not fit"); err != nil {
			return 0, err
		}
		apply.ResourceVersion = nil
		err = p.Client.Apply(ctx, apply, client.FieldOwner(payload.FieldManager), client.ForceOwnership)
	}
	if err != nil {
		return 0, fmt.Errorf("publishing revision %d: %w", next.Revision, err)
	}
	p.restores.done(next.name(), time.Now())
	p.uids = annotations[crdAnnotation]
	log := ctrl.LoggerFrom(ctx)
	if next.canary != nil {
		log = log.WithValues("canaryRevision", next.canary.Revision, "canaryDigest", next.canary.Digest, "canaries", len(next.canary.Nodes))
	}
	log.Info("Published", "revision", next.Revision, "digest", next.Digest, "bytes", len(next.Text), "provisional", next.Provisional)
	return 0, nil
}

// noteRevisions has later decisions know what was published, whatever becomes of the ConfigMap.
func (p *Publisher) noteRevisions(next content) {
	p.history.Revision = next.Revision
	if next.canary != nil {
		p.history.Tried = max(p.history.Tried, next.canary.Revision)
	}
}

// discard deletes the ConfigMap that was read, which cannot be changed to what it should be.
func discard(ctx context.Context, c client.Writer, cm *corev1.ConfigMap, why string) error {
	ctrl.LoggerFrom(ctx).Info("What is published " + why + ", so it is deleted and made anew")
	err := c.Delete(ctx, cm, client.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion})
	if err != nil {
		return fmt.Errorf("deleting the ConfigMap, which %s: %w", why, err)
	}
	return nil
}

// hasMore reports whether the ConfigMap has anything beside this, which takes the room of it.
func (c published) hasMore(annotations, data map[string]string, binaryData map[string][]byte) bool {
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

// says tells whether the ConfigMap has all of this already, whatever else it has.
func (c published) says(annotations, data map[string]string, binaryData map[string][]byte) bool {
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
