// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"fmt"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// modes says of each set in shadow mode that it is, and what it would block, so that nobody takes its policy for enforced.
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
			would = "what it would block is not known"
		} else if sources := bySet[set]; len(sources) > 0 {
			would = "it would block " + mirrors.Sources(sources)
		}
		text := fmt.Sprintf("the set is in shadow mode, so NeverContactSource is not enforced; %s; to enforce it, take the annotation %s away", would, mirrors.EnforcementAnnotation)
		all[i] = mirrors.Finding{Reason: mirrors.ShadowMode, Entries: []mirrors.Entry{set.Beside()}, Message: text}
	}
	return all
}

// tooLarge says of each set in shadow mode that nobody counts, and why.
func tooLarge(sets []mirrors.Object, why string) []mirrors.Finding {
	all := make([]mirrors.Finding, len(sets))
	for i, set := range sets {
		all[i] = mirrors.Finding{Reason: mirrors.ShadowTooLarge, Entries: []mirrors.Entry{set.Beside()},
			Message: fmt.Sprintf("%s, and nobody counts what would be refused; put fewer sources into shadow mode at a time", why)}
	}
	return all
}
