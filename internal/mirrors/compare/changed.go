// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Changed returns the sources for which two lists of rules do not say the same: those that have come or gone, and those whose mirrors, block
// or security differ.
func Changed(before, after []mirrors.Rule) map[string]bool {
	changed := make(map[string]bool)
	old := make(map[mirrors.Scope]*mirrors.Rule, len(before))
	for i := range before {
		old[before[i].Source] = &before[i]
	}
	for i := range after {
		rule := &after[i]
		if was := old[rule.Source]; was == nil || !sameEffect(was, rule) {
			changed[string(rule.Source)] = true
		}
		delete(old, rule.Source)
	}
	for source := range old {
		changed[string(source)] = true
	}
	return changed
}

// sameEffect reports whether images are pulled in the same way by two rules of one source, no matter which entries the rules come from.
func sameEffect(a, b *mirrors.Rule) bool {
	return a.Blocked == b.Blocked && a.Insecure == b.Insecure && slices.EqualFunc(a.Mirrors, b.Mirrors, func(a, b mirrors.Mirror) bool {
		return a.Location == b.Location && a.Modes == b.Modes && a.Insecure == b.Insecure
	})
}
