// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package configmap

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// Content is everything that the manager writes to the ConfigMap.
type Content struct {
	payload.Payload                 // for all nodes
	Canary          *payload.Canary // for canaries; nil for nothing
	Halted          *payload.Halt   // what is not to be tried again; nil for nothing
}

// annotations are the annotations that hold the content.
func (c *Content) annotations() map[string]string {
	all := c.Annotations()
	maps.Copy(all, payload.Rollout{Halted: c.Halted}.Annotations())
	return all
}

// name identifies a content without its revisions. If the same content is written again under another revision, that was only a correction.
func (c *Content) name() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s %t", c.Digest, c.Sets, c.Provisional)
	if c.Canary != nil {
		fmt.Fprintf(&text, " canary %d %s %q %s", c.Canary.Revision, c.Canary.Digest, c.Canary.Nodes, c.Canary.Until)
	}
	if c.Halted != nil {
		fmt.Fprintf(&text, " halted %s %s", c.Halted.Digest, c.Halted.Node)
	}
	return text.String()
}

// log logs that it was written.
func (c *Content) log(ctx context.Context) {
	log := ctrl.LoggerFrom(ctx)
	if c.Canary != nil {
		log = log.WithValues("canaryRevision", c.Canary.Revision, "canaryDigest", c.Canary.Digest, "canaries", len(c.Canary.Nodes))
	}
	log.Info("Published", "revision", c.Revision, "digest", c.Digest, "bytes", len(c.Text), "provisional", c.Provisional)
}

// keepOrders preserves the orders of people when the ConfigMap is written or created again.
func (c Current) keepOrders(annotations map[string]string) {
	if c.configMap == nil {
		return
	}
	for _, key := range []string{payload.PausedAnnotation, payload.UndoneAnnotation} {
		if order, ok := c.configMap.Annotations[key]; ok {
			annotations[key] = order
		}
	}
}

// leftovers are the keys and annotations that nodes or this manager would take for the manager's, and that are not to be there.
func (c Current) leftovers(annotations, data map[string]string) (keys []string) {
	if c.configMap == nil {
		return nil
	}
	for _, key := range []string{payload.ProvisionalAnnotation, payload.HaltedAnnotation} {
		if hasOne(c.configMap.Annotations, key) && !hasOne(annotations, key) {
			keys = append(keys, key)
		}
	}
	for _, key := range []string{payload.CanaryKey, payload.ShadowKey} {
		if hasOne(c.configMap.Data, key) && !hasOne(data, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// triesThat reports whether canaries have what they should have, or nothing that they could take.
func (c Current) triesThat(wanted *payload.Canary) bool {
	if c.Canary == nil || wanted == nil {
		return c.Canary == wanted
	}
	return c.Canary.Digest == wanted.Digest
}

// removeLeftovers removes what an apply has left because somebody else owns it. Agents must not follow it until the next pass.
func (k *Keeper) removeLeftovers(ctx context.Context, before []string, annotations, data map[string]string) error {
	if len(before) == 0 {
		return nil
	}
	now, err := k.Read(ctx)
	if err != nil {
		return err
	}
	if left := now.leftovers(annotations, data); len(left) > 0 && now.configMap.Annotations[payload.RevisionAnnotation] == annotations[payload.RevisionAnnotation] {
		return k.remove(ctx, now, left)
	}
	return nil
}

func hasOne(all map[string]string, key string) bool {
	_, ok := all[key]
	return ok
}

// remove removes leftovers that somebody else wrote, because an apply does not touch what others own.
func (k *Keeper) remove(ctx context.Context, c Current, leftovers []string) error {
	gone := make(map[string]any)
	for _, key := range leftovers {
		gone[key] = nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": c.configMap.ResourceVersion, "annotations": gone}, "data": gone,
	})
	if err == nil {
		err = k.Client.Patch(ctx, c.configMap, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(payload.FieldManager))
	}
	if err != nil {
		return fmt.Errorf("removing %s, which Mirrorset did not write, from the ConfigMap: %w", strings.Join(leftovers, ", "), err)
	}
	ctrl.LoggerFrom(ctx).Info("Removing from the ConfigMap what Mirrorset did not write", "keys", leftovers)
	return nil
}
