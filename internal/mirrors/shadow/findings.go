// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"fmt"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// modes says of each set in shadow mode that it is, and what it would block, so that nobody takes its policy for enforced.
func modes(sets []mirrors.Object, result *mirrors.Result) []mirrors.Finding {
	bySet, unseen := make(map[mirrors.Object][]mirrors.Scope), make(map[mirrors.Object][]mirrors.Scope)
	sees := seeing(result.Rules)
	for _, w := range result.Watched {
		for _, set := range mirrors.Objects(w.By) {
			bySet[set] = append(bySet[set], w.Source)
			if !sees(w.Source) {
				unseen[set] = append(unseen[set], w.Source)
			}
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
		if sources := unseen[set]; len(sources) > 0 {
			text += fmt.Sprintf("; what is pulled from %s is not seen, because no entry about it can be used", mirrors.Sources(sources))
		}
		all[i] = mirrors.Finding{Reason: mirrors.ShadowMode, Entries: []mirrors.Entry{set.Beside()}, Message: text}
	}
	return all
}

// seeing returns what tells whether a node with containerd has anything for a source that pulls of it could be seen by: a rule for its host.
func seeing(rules []mirrors.Rule) func(mirrors.Scope) bool {
	hosts := make(map[string]bool)
	for i := range rules {
		hosts[rules[i].Source.Host()] = true
	}
	index := mirrors.NewIndex(rules)
	return func(source mirrors.Scope) bool {
		return hosts[source.Host()] || index.Enclosing(source) != nil
	}
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
