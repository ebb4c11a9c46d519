// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/runtimes"
)

// shadowed is how the image would be pulled if no set were in shadow mode (docs/reference/semantics.md V3).
type shadowed struct {
	// Entries are those of sets in shadow mode that would block places.
	Entries []output.Entry `json:"entries"`
	// PullSources would be left, in the order in which they are tried; none where the pull would be refused.
	PullSources []pullSource `json:"pullSources"`

	suffix       string // of the image
	mayBeRefused bool   // where none of them has it
}

// shadowOf compares the answer for an image with the one by rules with which all is enforced. It returns nil where these say the same.
func shadowOf(ref mirrors.Reference, now, then runtimes.Answer, enforced []mirrors.Rule) *shadowed {
	if then.Rule != nil && then.Rule.NoneServes(ref.Mode) {
		then.PullSources = nil
	}
	s := &shadowed{PullSources: pullSourcesOf(then.PullSources), suffix: ref.Suffix, mayBeRefused: then.Blocked}
	index, lost := mirrors.NewIndex(enforced), false
	var by []mirrors.Entry
	for _, place := range now.PullSources {
		if slices.ContainsFunc(then.PullSources, func(left mirrors.PullSource) bool { return left.Location == place.Location }) {
			continue
		}
		lost = true
		if rule := index.Find(mirrors.Scope(strings.TrimSuffix(place.Location, ref.Suffix))); rule != nil {
			by = append(by, rule.BlockedBy...)
		}
	}
	if !lost {
		return nil
	}
	for i, e := range by {
		if !slices.Contains(by[:i], e) {
			s.Entries = append(s.Entries, output.EntriesOf(by[i:i+1])...)
		}
	}
	return s
}

// say is for people, who see the whole places in the table below.
func (s *shadowed) say() string {
	text := "NeverContactSource of " + briefly(s.Entries) + " is not enforced; if it were, "
	if len(s.PullSources) == 0 {
		return text + "the pull would be refused"
	}
	places := slices.Clone(s.PullSources)
	for i := range places {
		places[i].Location = strings.TrimSuffix(places[i].Location, s.suffix)
	}
	text += "the image would come from " + sayPlaces(places)
	if s.mayBeRefused {
		text += ", or be refused"
	}
	return text
}
