// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"slices"

	"github.com/mirrorset/mirrorset/internal/plugin/runtimes"
)

// contentOf returns where what a tag names is pulled from: the mirrors for digests, the mirror where the tag was found, and the source
// unless it is blocked (T10).
func contentOf(a runtimes.Answer) []pullSource {
	all := pullSourcesOf(a.Content)
	mirrors := len(all)
	if mirrors > 0 && !a.Blocked {
		mirrors-- // the source is the last
	}
	content := slices.Clone(all[:mirrors])
	for _, s := range pullSourcesOf(a.TagMirrors) {
		if !slices.ContainsFunc(content, func(c pullSource) bool { return c.Location == s.Location }) {
			s.IfTagFound = true
			content = append(content, s)
		}
	}
	return append(content, all[mirrors:]...)
}
