// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package pulls

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// kept is how many pulls an agent remembers (docs/reference/semantics.md V1).
const kept = 512

// say sums up for people how many pulls there are, and since when they are known.
func (r report) say(t target, found int) string {
	text := output.Plural(found, "pull", "pulls")
	if found == 0 {
		text = "No pull"
	}
	if t.pod != nil {
		text += fmt.Sprintf(" of the images of Pod %s/%s", t.pod.Namespace, t.pod.Name)
	}
	if len(t.nodes) == 1 {
		text += " on node " + t.nodes[0]
	} else {
		text += fmt.Sprintf(" on %d nodes", len(t.nodes))
	}
	text += r.sayKnown(t)
	if t.pod != nil && found == 0 {
		text += " A node does not pull an image that it already has."
	}
	return text
}

// sayKnown says since when pulls are known, in the rest of a sentence and perhaps one more.
func (r report) sayKnown(t target) string {
	var latest time.Time
	for i := range r.Nodes {
		if since := r.Nodes[i].Since; since != nil && since.After(latest) {
			latest = *since
		}
	}
	switch {
	case latest.IsZero():
		return "."
	case t.all && len(t.nodes) > 1:
		return fmt.Sprintf("; pulls before %s are not known for all of them.", cluster.Clock(metav1.NewTime(latest)))
	}
	text := fmt.Sprintf(" since %s, when its agent started.", cluster.Clock(metav1.NewTime(latest)))
	switch {
	case t.pod != nil && t.pod.CreationTimestamp.Time.Before(latest):
		text += " The Pod is older; pulls for it before that time are not known."
	case t.pod == nil && len(r.Nodes[0].Pulls) >= kept:
		text += fmt.Sprintf(" An agent keeps only the last %d pulls.", kept)
	}
	return text
}
