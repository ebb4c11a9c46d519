// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import "slices"

// ofAllPulls are the reasons of findings that concern both digests and tags, for any kind of entry. They are about whether the source is
// blocked (T5) or watched (V3), and which source decides (Q1).
var ofAllPulls = []Reason{InvalidPolicy, PolicyConflict, PolicyWithoutMirrors, CarveOutOpensBlocked, WildcardTie, InvalidEnforcement, ShadowMode, ShadowTooLarge}

// Concerns reports whether a finding is about pulls of a mode. Most findings are about the mode of their entries (T1).
func (f Finding) Concerns(mode Mode) bool {
	switch {
	case f.Reason == BlocksTagPulls:
		return mode == ByTag
	case f.Reason == BlocksDigestPulls:
		return mode == ByDigest
	case f.Blocks, slices.Contains(ofAllPulls, f.Reason):
		return true
	}
	return slices.ContainsFunc(f.Entries, func(e Entry) bool { return e.Kind.Mode == mode })
}
