// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// reach is on how many nodes what a set says of a source counts.
type reach struct {
	Set  string `json:"set"`
	Kind string `json:"kind"`
	// Nodes is absent where nobody says since when the nodes know the set.
	Nodes *int `json:"nodes,omitempty"`
	Of    int  `json:"of"`
	// Held is why not all nodes get the set as it is now, by the reason of its condition Applied; absent where they are.
	Held string `json:"held,omitempty"`

	of mirrors.Object
}

// countInForce counts for each set that has a part in a rule.
func countInForce(rule *mirrors.Rule, sets []kinds.Set, nodes []mirrorsetv1alpha1.MirrorNode) []reach {
	var counts []reach
	for _, of := range mirrors.Objects(rule.Entries()) {
		count := reach{Set: of.Name, Kind: of.Kind.Name, Of: len(nodes), of: of}
		set := kinds.Find(sets, of)
		count.Held = held(set.Status)
		if status := set.Status; count.Held == "" && status.Revision > 0 && status.ObservedGeneration == set.GetGeneration() {
			have := 0
			for i := range nodes {
				if where, _ := standing.OfSources(&nodes[i].Status, status.Revision, map[string]bool{string(rule.Source): true}, nil); where == standing.InForce {
					have++
				}
			}
			count.Nodes = &have
		}
		counts = append(counts, count)
	}
	return counts
}

// held returns the reason for which no revision that the set names is one that all nodes should have (docs/reference/semantics.md C1 to C6).
func held(status *configv1.MirrorSetStatus) string {
	applied := meta.FindStatusCondition(status.Conditions, configv1.ConditionApplied)
	if applied == nil {
		return ""
	}
	switch applied.Reason {
	case configv1.ReasonCanaryProgressing, configv1.ReasonCanaryFailed, configv1.ReasonNoCanaries, configv1.ReasonPaused, configv1.ReasonRolledBack:
		return applied.Reason
	}
	return ""
}

func sayInForce(counts []reach) string {
	said := make([]string, len(counts))
	for i, c := range counts {
		if c.Held != "" {
			said[i] = fmt.Sprintf("%s not on all %d nodes (%s)", c.of, c.Of, c.Held)
			continue
		}
		if c.Nodes == nil {
			said[i] = fmt.Sprintf("%s on an unknown number of %d nodes", c.of, c.Of)
			continue
		}
		said[i] = fmt.Sprintf("%s on %d of %d nodes", c.of, *c.Nodes, c.Of)
	}
	return strings.Join(said, ", ")
}
