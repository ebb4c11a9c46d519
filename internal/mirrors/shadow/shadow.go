// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package shadow finds what sets in shadow mode would block (V3 and V4 of docs/reference/semantics.md). It is pure.
package shadow

import (
	"encoding/json"
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// MaxNames bounds [Names] in JSON, in bytes, as a ConfigMap has them (V4).
const MaxNames = 64 << 10

// Merge is [mirrors.Merge], and also finds what sets in shadow mode would block. For that it merges a second time as if no set were in
// shadow mode.
func Merge(in mirrors.Input) mirrors.Result {
	result := mirrors.Merge(in)
	var sets []mirrors.Object
	for i := range in.Sets {
		if in.Sets[i].InShadowMode() {
			sets = append(sets, in.Sets[i].Object)
		}
	}
	if len(sets) == 0 || result.TooLarge {
		return result
	}
	as := mirrors.Merge(enforced(in))
	if as.TooLarge {
		result.ShadowTooLarge = true
		result.Found(tooLarge(sets, "with NeverContactSource enforced, the rules would be too large to be published, so it is unknown which sources would be blocked")...)
	} else {
		result.Watched = watched(as.Rules, result.Rules)
	}
	if text, err := json.Marshal(Names(result.Watched)); err != nil || len(text) > MaxNames {
		result.ShadowTooLarge = true
		result.Found(tooLarge(sets, "the list of sources that sets in shadow mode would block is larger than 64 KiB, which is too large to send to the nodes")...)
	}
	result.Found(modes(sets, &result)...)
	return result
}

// enforced returns the input as it were if no set were in shadow mode.
func enforced(in mirrors.Input) mirrors.Input {
	in.Sets = slices.Clone(in.Sets)
	for i := range in.Sets {
		if in.Sets[i].InShadowMode() {
			in.Sets[i].Enforcement = ""
		}
	}
	return in
}

// watched returns what some rules block and others do not.
func watched(enforced, inForce []mirrors.Rule) []mirrors.Watched {
	var all []mirrors.Watched
	now := mirrors.NewIndex(inForce)
	for i := range enforced {
		rule := &enforced[i]
		is := now.At(rule.Source)
		if is == nil {
			is = now.Enclosing(rule.Source)
		}
		if rule.Blocked && (is == nil || !is.Blocked) {
			all = append(all, mirrors.Watched{Source: rule.Source, By: rule.BlockedBy})
		}
	}
	return all
}

// Names returns, by watched source, the sets in shadow mode that watch it.
func Names(watched []mirrors.Watched) map[string]string {
	names := make(map[string]string, len(watched))
	for _, w := range watched {
		names[string(w.Source)] = mirrors.Names(w.By)
	}
	return names
}

// Sources returns the sources that nodes are told to watch; none where these are too many (V4).
func Sources(result *mirrors.Result) []mirrors.Scope {
	if result.ShadowTooLarge {
		return nil
	}
	sources := make([]mirrors.Scope, len(result.Watched))
	for i, w := range result.Watched {
		sources[i] = w.Source
	}
	return sources
}
