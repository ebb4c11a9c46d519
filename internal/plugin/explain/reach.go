// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"slices"
	"strings"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// reach is on how many nodes what a set says of a source counts.
type reach struct {
	Set string `json:"set"`
	// Nodes is absent where nobody says since when the nodes know the set.
	Nodes *int `json:"nodes,omitempty"`
	Of    int  `json:"of"`
}

// countInForce counts for each set that has a part in a rule.
func countInForce(rule *mirrors.Rule, sets []configv1.ImageDigestMirrorSet, nodes []mirrorsetv1alpha1.MirrorNode) []reach {
	var counts []reach
	for _, name := range mirrors.Objects(rule.From) {
		count := reach{Set: name, Of: len(nodes)}
		at := slices.IndexFunc(sets, func(s configv1.ImageDigestMirrorSet) bool { return s.Name == name })
		if status := sets[at].Status; status.Revision > 0 && status.ObservedGeneration == sets[at].Generation {
			have := 0
			for i := range nodes {
				if where, _ := standing.OfSources(&nodes[i].Status, status.Revision, map[string]bool{rule.Source: true}, nil); where == standing.InForce {
					have++
				}
			}
			count.Nodes = &have
		}
		counts = append(counts, count)
	}
	return counts
}

func sayInForce(counts []reach) string {
	said := make([]string, len(counts))
	for i, c := range counts {
		if c.Nodes == nil {
			said[i] = fmt.Sprintf("%s on an unknown number of %d nodes", c.Set, c.Of)
			continue
		}
		said[i] = fmt.Sprintf("%s on %d of %d nodes", c.Set, *c.Nodes, c.Of)
	}
	return strings.Join(said, ", ")
}
