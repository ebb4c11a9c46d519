// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

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
	"github.com/mirrorset/mirrorset/internal/plan"
)

// content is all that the manager has the ConfigMap say.
type content struct {
	payload.Payload                 // for all nodes
	canary          *payload.Canary // for canaries; nil for nothing
	halted          *payload.Halt   // what is not to be tried again; nil for nothing
}

func contentOf(d plan.Decision) content {
	return content{Payload: d.Payload, canary: d.Canary, halted: d.Halted}
}

// annotations are those that the content stands in.
func (c *content) annotations() map[string]string {
	all := c.Annotations()
	maps.Copy(all, payload.Rollout{Halted: c.halted}.Annotations())
	return all
}

// name tells one content from another, whatever revisions it has: what is written again under another one was only put right.
func (c *content) name() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s %t", c.Digest, c.Sets, c.Provisional)
	if c.canary != nil {
		fmt.Fprintf(&text, " canary %d %s %q %s", c.canary.Revision, c.canary.Digest, c.canary.Nodes, c.canary.Until)
	}
	if c.halted != nil {
		fmt.Fprintf(&text, " halted %s %s", c.halted.Digest, c.halted.Node)
	}
	return text.String()
}

// keepOrders has what people ordered stay when the ConfigMap is written, or made anew.
func (c published) keepOrders(annotations map[string]string) {
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
func (c published) leftovers(annotations, data map[string]string) (keys []string) {
	if c.configMap == nil {
		return nil
	}
	for _, key := range []string{payload.ProvisionalAnnotation, payload.HaltedAnnotation} {
		if hasOne(c.configMap.Annotations, key) && !hasOne(annotations, key) {
			keys = append(keys, key)
		}
	}
	if hasOne(c.configMap.Data, payload.CanaryKey) && !hasOne(data, payload.CanaryKey) {
		keys = append(keys, payload.CanaryKey)
	}
	return keys
}

func hasOne(all map[string]string, key string) bool {
	_, ok := all[key]
	return ok
}

// remove takes leftovers away that somebody else wrote: an apply leaves alone what others own.
func (p *Publisher) remove(ctx context.Context, c published, leftovers []string) error {
	gone := make(map[string]any)
	for _, key := range leftovers {
		gone[key] = nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": c.configMap.ResourceVersion, "annotations": gone}, "data": gone,
	})
	if err == nil {
		err = p.Client.Patch(ctx, c.configMap, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(payload.FieldManager))
	}
	if err != nil {
		return fmt.Errorf("removing %s, which somebody else wrote, from the ConfigMap: %w", strings.Join(leftovers, ", "), err)
	}
	ctrl.LoggerFrom(ctx).Info("What somebody else wrote into the ConfigMap is removed", "keys", leftovers)
	return nil
}
