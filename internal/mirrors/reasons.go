// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

// Reasons returns all reasons that there are, so that each can be counted when there is none.
func Reasons() []Reason {
	return []Reason{
		InvalidSource, InvalidMirror, InvalidPolicy, PolicyWithoutMirrors, CarveOutOpensBlocked, OrderConflict, PolicyConflict,
		SourceInOwnMirrors, WildcardCollapse, BlocksTagPulls, WildcardTie, InvalidRewrite, MirrorBlocked, UnmatchableSource,
	}
}
