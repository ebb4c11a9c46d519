// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compare finds what one list of rules lacks compared with another, and where the two differ. It is pure.
package compare

import "github.com/mirrorset/mirrorset/internal/mirrors"

// Keeps reports whether rules keep everything that earlier rules provided. Each source is still present, and still blocked and insecure if
// it was. It has each of its mirrors for all references that the mirror was for. Nothing is open that a broader source blocked. The order
// of mirrors does not count (P2).
func Keeps(after, before []mirrors.Rule) bool {
	now, was := mirrors.NewIndex(after), mirrors.NewIndex(before)
	for i := range before {
		if kept := now.At(before[i].Source); kept == nil || !keeps(kept, &before[i]) {
			return false
		}
	}
	for i := range after {
		if after[i].Blocked || was.At(after[i].Source) != nil {
			continue
		}
		if broader := was.Enclosing(after[i].Source); broader != nil && broader.Blocked {
			return false
		}
	}
	return true
}

// keeps reports whether a rule keeps everything that an earlier rule of the same source provided.
func keeps(rule, before *mirrors.Rule) bool {
	if before.Blocked && !rule.Blocked || before.Insecure && !rule.Insecure {
		return false
	}
	all, insecure := make(map[mirrors.Scope]mirrors.Mode, len(rule.Mirrors)), make(map[mirrors.Scope]mirrors.Mode)
	for _, m := range rule.Mirrors {
		all[m.Location] |= m.Modes
		if m.Insecure {
			insecure[m.Location] |= m.Modes
		}
	}
	for _, m := range before.Mirrors {
		kept := all[m.Location]
		if m.Insecure {
			kept = insecure[m.Location]
		}
		if m.Modes&^kept != 0 {
			return false
		}
	}
	return true
}
