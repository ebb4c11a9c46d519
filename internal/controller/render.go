// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/shadow"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// encode writes the rules that sets were merged to.
func encode(result *mirrors.Result) ([]byte, error) {
	if result.TooLarge {
		return nil, mirrors.ErrTooLarge
	}
	return registriesconf.Encode(result.Rules)
}

// formatOf returns the oldest format that can say the rules.
func formatOf(rules []mirrors.Rule) int {
	forTags := func(m mirrors.Mirror) bool { return m.Modes&mirrors.ByTag != 0 }
	for i := range rules {
		if slices.ContainsFunc(rules[i].Mirrors, forTags) {
			return payload.FormatTags
		}
	}
	return payload.FormatDigests
}

// blockersOf names the sets that block sources.
func blockersOf(rules []mirrors.Rule) map[string]string {
	blockers := make(map[string]string)
	for i := range rules {
		if rules[i].Blocked {
			blockers[string(rules[i].Source)] = mirrors.Names(rules[i].BlockedBy)
		}
	}
	return blockers
}

// shadowOf names the sets in shadow mode that watch sources. It is nil where nodes do not count for them (docs/reference/semantics.md V4).
func shadowOf(result *mirrors.Result) map[string]string {
	if result.ShadowTooLarge || len(result.Watched) == 0 {
		return nil
	}
	return shadow.Names(result.Watched)
}
