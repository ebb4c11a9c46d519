// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"slices"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// The worked cases of docs/reference/semantics.md, and what is beside them.
func TestTagsAndDigestsHaveMirrorsOfTheirOwn(t *testing.T) {
	const (
		both      = "D a: s.com -> d.net\nT a: s.com -> t.net"
		dBelow    = "D a: s.com/a -> d.net/a\nT b: s.com -> t.net"
		blocked   = "T a: s.com/a -> t.net/a\nD b: s.com -> d.net [Never]"
		blocksAll = "D a: s.com -> d.net [Never]\nT a: s.com -> t.net"
		conflict  = "T a: s.com -> t.net [Never]\nD b: s.com/a -> d.net/a"
	)
	runPullCases(t, []pullCase{
		{"a tag goes to its mirror", "T a: s.com -> m.net/s", "s.com/x:1", []string{"m.net/s/x:1", "s.com/x:1"}},
		{"a digest does not", "T a: s.com -> m.net/s", "s.com/x@d", []string{"s.com/x@d"}},
		{"nor does a tag beside a digest", "T a: s.com -> m.net/s", "s.com/x:1@d", []string{"s.com/x@d"}},
		{"each has its own", both, "s.com/x:1", []string{"t.net/x:1", "s.com/x:1"}},
		{"each has its own, digests too", both, "s.com/x@d", []string{"d.net/x@d", "s.com/x@d"}},
		{"tags inherit", dBelow, "s.com/a/x:1", []string{"t.net/a/x:1", "s.com/a/x:1"}},
		{"digests inherit the block", blocked, "s.com/a/x@d", []string{"d.net/a/x@d"}},
		{"which is for tags too", blocked, "s.com/a/x:1", []string{"t.net/a/x:1"}},
		{"one block is for both", blocksAll, "s.com/x:1", []string{"t.net/x:1"}},
		{"a carve-out is for its own mode", "T a: s.com -> t.net\nT b: s.com/free -> (none)\nD c: s.com -> d.net", "s.com/free/x:1", []string{"s.com/free/x:1"}},
		{"and for no other", "T a: s.com -> t.net\nT b: s.com/free -> (none)\nD c: s.com -> d.net", "s.com/free/x@d", []string{"d.net/free/x@d", "s.com/free/x@d"}},
		{"a block of tags is one of digests", conflict, "s.com/a/x@d", []string{"d.net/a/x@d"}},
		{"an entry of the other kind opens it", conflict + "\nT c: s.com/a -> t.net/a [Allow]", "s.com/a/x@d", []string{"d.net/a/x@d", "s.com/a/x@d"}},
		{"a wildcard's mirror gets the whole path", "T a: *.io -> t.net\nD b: quay.io/p -> d.net/p", "quay.io/p/x:1", []string{"t.net/p/x:1", "quay.io/p/x:1"}},
		{"the nearest broader source counts", "T a: s.com -> t.net\nT b: s.com/a -> u.net\nD c: s.com/a/b -> d.net", "s.com/a/b/x:1", []string{"u.net/b/x:1", "s.com/a/b/x:1"}},
		{"a carve-out ends the search", "T a: s.com -> t.net\nT b: s.com/a -> (none)\nD c: s.com/a/b -> d.net", "s.com/a/b/x:1", []string{"s.com/a/b/x:1"}},
		{"the source among inherited mirrors is the narrower one", "T a: s.com -> t.net, s.com, u.net\nD c: s.com/a -> d.net", "s.com/a/x:1", []string{"t.net/a/x:1", "s.com/a/x:1", "u.net/a/x:1", "s.com/a/x:1"}},
		{"and is none where it is blocked", "T a: s.com -> t.net, s.com, u.net\nD c: s.com/a -> d.net [Never]", "s.com/a/x:1", []string{"t.net/a/x:1", "u.net/a/x:1"}},
		{"a wildcard inherits from a wildcard", "T a: *.io -> t.net\nD b: *.quay.io -> d.net", "x.quay.io/p:1", []string{"t.net/p:1", "x.quay.io/p:1"}},
		{"a port is another registry", "T a: s.com -> t.net\nD b: s.com:5000/a -> d.net", "s.com:5000/a/x:1", []string{"s.com:5000/a/x:1"}},
		{"a mirror in a blocked source is passed over", "T a: s.com -> t.net\nD b: t.net -> d.net [Never]", "s.com/x:1", []string{"s.com/x:1"}},
		{"orders do not cross modes", "D a: s.com -> a.m, b.m\nT a: s.com -> b.m, a.m", "s.com/x:1", []string{"b.m/x:1", "a.m/x:1", "s.com/x:1"}},
	})
	runMergeCases(t, []mergeCase{
		{"equal lists stand once", "D a: s.com -> m.net, n.net\nT a: s.com -> m.net, n.net", []string{"s.com -> m.net, n.net"}, nil},
		{"other lists stand side by side", "D a: s.com -> m.net, n.net\nT a: s.com -> n.net, m.net", []string{"s.com -> m.net, n.net, n.net, m.net"}, nil},
		{"policies of one source that differ are found", blocksAll, []string{"s.com -> d.net, t.net [blocked]"}, []string{"PolicyConflict s.com a/0 a/0"}},
		{"policies of a broader source that differ are found", conflict, []string{"s.com -> t.net [blocked]", "s.com/a -> d.net/a, t.net/a [blocked]"},
			[]string{"BlocksDigestPulls s.com a/0", "PolicyConflict s.com/a a/0 b/0"}},
		{"a carve-out opens no block of the other kind", "D a: s.com -> d.net [Never]\nT b: s.com/x -> (none)", []string{"s.com -> d.net [blocked]", "s.com/x -> d.net/x [blocked]"},
			[]string{"BlocksTagPulls s.com a/0", "BlocksTagPulls s.com/x a/0", "PolicyConflict s.com/x a/0 b/0"}},
		{"a carve-out opens one of its own", "D a: s.com -> d.net [Never]\nT a: s.com -> t.net [Never]\nD b: s.com/x -> (none)\nT b: s.com/x -> t.net/x [Allow]",
			[]string{"s.com -> d.net, t.net [blocked]", "s.com/x -> t.net/x"}, []string{"CarveOutOpensBlocked s.com/x b/0"}},
		{"an entry answers for no mirror of the other kind", "D a: s.com/a -> docker.io/a\nT b: s.com -> docker.io", []string{"s.com -> docker.io", "s.com/a -> docker.io/a"},
			[]string{"InvalidRewrite s.com/a a/0", "InvalidRewrite s.com b/0"}},
		{"nor for mirrors that it takes away", "D a: *.quay.io -> (none)\nT b: *.io -> t.net/x", []string{"*.io -> t.net/x", "*.quay.io -> t.net/x"}, []string{"WildcardCollapse *.io b/0"}},
		{"contradictions are found once, and in one mode", "T a: s.com -> a.m, b.m\nT b: s.com -> b.m, a.m\nD c: s.com/x -> b.m/x, c.m/x", []string{"s.com -> a.m, b.m", "s.com/x -> b.m/x, c.m/x, a.m/x, b.m/x"},
			[]string{"OrderConflict s.com a/0 b/0"}},
	})
}

func TestAMirrorOfBothKindsIsBroughtByTheOneThatCounts(t *testing.T) {
	rules := merge(t, "D d: s.com -> m.net, n.net\nT t: s.com -> m.net, n.net").Rules
	for image, want := range map[string]string{"s.com/x@d": "d", "s.com/x:1": "itms/t"} {
		if got := mirrors.Names(resolve(t, rules, image).PullSources[0].From); got != want {
			t.Errorf("%s: from %s, want %s", image, got, want)
		}
	}
}

func TestTheEntriesOfARuleStandInTheOrderOfTheirSets(t *testing.T) {
	rule := merge(t, "D b: s.com -> d.net [Never]\nT a: s.com -> t.net [Never]").Rules[0]
	tags := mirrors.Entry{Object: mirrors.Object{Kind: &kinds.Tag.Kind, Name: "a"}}
	want := []mirrors.Entry{tags, in("b", 0)}
	if !slices.Equal(rule.From, want) || !slices.Equal(rule.BlockedBy, want) {
		t.Errorf("from %v, blocked by %v, want %v for both", rule.From, rule.BlockedBy, want)
	}
}
