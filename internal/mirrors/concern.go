// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"slices"
	"strings"
)

// ofAllPulls are the reasons of findings about what counts for digests and tags alike, whatever the kinds of the entries: whether the
// source is blocked (T5), and which source decides (Q1).
var ofAllPulls = []Reason{InvalidPolicy, PolicyConflict, PolicyWithoutMirrors, CarveOutOpensBlocked, WildcardTie}

// Concerns tells whether a finding is about pulls of a mode. Most are about those of their entries (T1).
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

// CannotExist tells whether the scope lies under a name that no registry can have: "invalid" and all below it (RFC 2606, RFC 6761).
func (s Scope) CannotExist() bool {
	host, _, _ := strings.Cut(strings.ToLower(s.Host()), ":")
	return host == "invalid" || strings.HasSuffix(host, ".invalid")
}

// CannotBeServed tells whether a rule blocks its source and names no mirror but some that cannot exist, which is how to block a
// source for good.
func (rule *Rule) CannotBeServed() bool {
	return rule.Blocked && len(rule.Mirrors) > 0 && !slices.ContainsFunc(rule.Mirrors, func(m Mirror) bool { return !m.Location.CannotExist() })
}
