// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"fmt"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// modes returns a finding for each set in shadow mode, with the sources that it would block, so that nobody assumes that its policy is
// enforced.
func modes(sets []mirrors.Object, result *mirrors.Result) []mirrors.Finding {
	bySet := make(map[mirrors.Object][]mirrors.Scope)
	for _, w := range result.Watched {
		for _, set := range mirrors.Objects(w.By) {
			bySet[set] = append(bySet[set], w.Source)
		}
	}
	all := make([]mirrors.Finding, len(sets))
	for i, set := range sets {
		would := "it would block no source that is open now"
		if result.ShadowTooLarge && len(result.Watched) == 0 {
			would = "which sources it would block is unknown"
		} else if sources := bySet[set]; len(sources) > 0 {
			would = "it would block " + mirrors.Sources(sources)
		}
		text := fmt.Sprintf("the set is in shadow mode, so nodes do not enforce its NeverContactSource; %s. To enforce it, remove the annotation %s", would, mirrors.EnforcementAnnotation)
		all[i] = mirrors.Finding{Reason: mirrors.ShadowMode, Entries: []mirrors.Entry{set.OutsideEntries()}, Message: text}
	}
	return all
}

// tooLarge returns a finding for each set in shadow mode that its pulls are not counted, and why.
func tooLarge(sets []mirrors.Object, why string) []mirrors.Finding {
	all := make([]mirrors.Finding, len(sets))
	for i, set := range sets {
		all[i] = mirrors.Finding{Reason: mirrors.ShadowTooLarge, Entries: []mirrors.Entry{set.OutsideEntries()},
			Message: fmt.Sprintf("%s; nodes do not count the pulls that would be refused. Put fewer sources into shadow mode at a time", why)}
	}
	return all
}
