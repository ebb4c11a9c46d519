// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// mergeCase is one case of a rule about entries: what becomes of the sets, and what is found.
type mergeCase struct {
	name     string
	sets     string
	rules    []string
	findings []string
}

func runMergeCases(t *testing.T, cases []mergeCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			result := merge(t, c.sets)
			expect(t, "rules", describeAll(result.Rules), c.rules)
			expect(t, "findings", labels(result.Findings), c.findings)
			for i := range result.Rules {
				if err := result.Rules[i].Validate(); err != nil {
					t.Errorf("Validate refuses what Merge made: %v", err)
				}
			}
		})
	}
}

func TestWhatFailsTheGrammarIsLeftOutAndFound(t *testing.T) { // E1
	runMergeCases(t, []mergeCase{
		{"a good source stays", "a: s.com:5000/a_b/c.d -> m.com/q", []string{"s.com:5000/a_b/c.d -> m.com/q"}, nil},
		{"a bad policy counts as none", "a: s.com -> m.com [Sometimes]", []string{"s.com -> m.com"}, []string{"InvalidPolicy s.com a/0"}},
		{"the other entries of the object stay", "a: S_ -> m.com\na: s.com -> m.com", []string{"s.com -> m.com"}, []string{"InvalidSource S_ a/0"}},
		{"the other mirrors of the entry stay", "a: s.com -> m1.com, http://m2.com, m3.com", []string{"s.com -> m1.com, m3.com"}, []string{"InvalidMirror s.com a/0"}},
		{"a mirror is no wildcard", "a: s.com -> *.m.com, m.com", []string{"s.com -> m.com"}, []string{"InvalidMirror s.com a/0"}},
		{"quotes and newlines do not get through", `a: s.com -> "m.com\"\n[[registry]]", m.com`, []string{"s.com -> m.com"}, []string{"InvalidMirror s.com a/0"}},
		{"a newline at the end is not overlooked", `a: s.com -> "m.com\n", m.com`, []string{"s.com -> m.com"}, []string{"InvalidMirror s.com a/0"}},
	})
	for _, bad := range []string{
		`""`, `"s.com\n"`, "https://s.com", "s.com/", "/s.com", "s.com//x", "s.com/X", "s.com/x:tag", "s.com:", "s.com:x", "-s.com",
		"s-.com", "s..com", "s_.com", "[::1]:5000", "*", "*.", "*s.com", "a.*.com", "*.s.com:5000", "*.s.com/x", "s.com/x__y___z",
		"s.com/a.-b", "s.com@sha256", `"s.com\x00"`, `"\xff.com"`, `"s.com\""`, `"s\u00e9.com"`,
	} {
		t.Run("the source "+bad+" is left out", func(t *testing.T) {
			result := merge(t, "a: "+bad+" -> m.com")
			if len(result.Rules) != 0 || len(result.Findings) != 1 || result.Findings[0].Reason != mirrors.InvalidSource {
				t.Errorf("got rules %q, findings %q", describeAll(result.Rules), labels(result.Findings))
			}
		})
	}
}

func TestAMirrorNamedTwiceCountsOnceAtItsFirstPlace(t *testing.T) { // E2
	many := numbered(20, "m%d.com")
	expect(t, "many mirrors", locations(&merge(t, "a: s.com -> "+strings.Join(slices.Concat(many, many[3:8], many), ", ")).Rules[0]), many)
	runMergeCases(t, []mergeCase{
		{"first place", "a: s.com -> m2.com, m1.com, m2.com", []string{"s.com -> m2.com, m1.com"}, nil},
		{"the source alone counts as no mirror", "a: s.com -> s.com, s.com", []string{"s.com -> (none)"}, nil},
		{"the source alone does not block", "a: s.com -> s.com [Never]", []string{"s.com -> (none)"}, []string{"PolicyWithoutMirrors s.com a/0"}},
	})
}

func TestAMirrorThatWouldFailEveryPullIsLeftOut(t *testing.T) { // E3
	left := []string{"InvalidMirror s.com a/0"}
	runMergeCases(t, []mergeCase{
		{"a single label", "a: s.com -> mirror, m.com", []string{"s.com -> m.com"}, left},
		{"a single label with a path", "a: s.com -> mirror/x, m.com", []string{"s.com -> m.com"}, left},
		{"index.docker.io", "a: s.com -> index.docker.io, m.com", []string{"s.com -> m.com"}, left},
		{"below index.docker.io", "a: s.com -> index.docker.io/x/y, m.com", []string{"s.com -> m.com"}, left},
		{"no room for any name", "a: s.com -> m.com/" + strings.Repeat("x", 250) + ", m.com", []string{"s.com -> m.com"}, left},
		{"localhost is a host", "a: s.com -> localhost/x", []string{"s.com -> localhost/x"}, nil},
		{"a single label with a port is a host", "a: s.com -> mirror:5000", []string{"s.com -> mirror:5000"}, nil},
		{"bare docker.io serves some references", "a: s.com -> docker.io", []string{"s.com -> docker.io"}, []string{"InvalidRewrite s.com a/0"}},
		{"a long mirror serves short references", "a: s.com -> m.com/" + strings.Repeat("x", 200), []string{"s.com -> m.com/" + strings.Repeat("x", 200)}, []string{"LongMirror s.com a/0"}},
	})
}

func TestAnEntryThatLosesAllItsMirrorsIsLeftOutOrFailsClosed(t *testing.T) { // E4
	runMergeCases(t, []mergeCase{
		{"left out whole", "a: s.com -> mirror, B", nil, []string{"InvalidMirror s.com a/0"}},
		{"left out beside another entry", "a: s.com -> mirror\nb: s.com -> m.com", []string{"s.com -> m.com"}, []string{"InvalidMirror s.com a/0"}},
		{"an explicit Allow is left out too", "a: s.com -> mirror [Allow]", nil, []string{"InvalidMirror s.com a/0"}},
		{"Never blocks", "a: s.com -> mirror [Never]", []string{"s.com -> (none) [blocked]"}, []string{"BlocksDigestPulls s.com a/0", "BlocksTagPulls s.com a/0", "InvalidMirror s.com a/0"}},
		{"Never blocks where only the source is kept", "a: s.com -> s.com, mirror [Never]", []string{"s.com -> (none) [blocked]"}, []string{"BlocksDigestPulls s.com a/0", "BlocksTagPulls s.com a/0", "InvalidMirror s.com a/0"}},
		{"Never blocks what another entry mirrors", "a: s.com -> mirror [Never]\nb: s.com -> m.com", []string{"s.com -> m.com [blocked]"}, []string{"BlocksTagPulls s.com a/0", "InvalidMirror s.com a/0", "PolicyConflict s.com a/0 b/0"}},
		{"the source kept is a carve-out without Never", "a: s.com -> s.com, mirror", []string{"s.com -> (none)"}, []string{"InvalidMirror s.com a/0"}},
	})
}

func TestAnEntryWithoutMirrorsIsACarveOut(t *testing.T) { // E5
	runMergeCases(t, []mergeCase{
		{"a bare rule", "a: s.com -> (none)", []string{"s.com -> (none)"}, nil},
		{"its Never does not block", "a: s.com -> (none) [Never]", []string{"s.com -> (none)"}, []string{"PolicyWithoutMirrors s.com a/0"}},
		{"its Allow has no effect", "a: s.com -> (none) [Allow]", []string{"s.com -> (none)"}, []string{"PolicyWithoutMirrors s.com a/0"}},
		{"its Allow is no conflict", "a: s.com -> (none) [Allow]\nb: s.com -> m.com [Never]", []string{"s.com -> m.com [blocked]"}, []string{"PolicyWithoutMirrors s.com a/0", "BlocksTagPulls s.com b/0"}},
		{"another entry's mirrors count", "a: s.com -> (none)\nb: s.com -> m.com", []string{"s.com -> m.com"}, nil},
		{"inside a blocked source it opens a hole", "a: s.com -> m.com [Never]\nb: s.com/free -> (none)", []string{"s.com -> m.com [blocked]", "s.com/free -> (none)"}, []string{"BlocksTagPulls s.com a/0", "CarveOutOpensBlocked s.com/free b/0"}},
		{"inside a blocked wildcard it opens a hole", "a: *.s.com -> m.com [Never]\nb: aa.s.com -> (none)", []string{"*.s.com -> m.com [blocked]", "aa.s.com -> (none)"}, []string{"BlocksTagPulls *.s.com a/0", "WildcardCollapse *.s.com a/0", "CarveOutOpensBlocked aa.s.com b/0"}},
		{"a wildcard inside a blocked wildcard opens a hole", "a: *.s.com -> m.com [Never]\nb: *.aa.s.com -> (none)", []string{"*.aa.s.com -> (none)", "*.s.com -> m.com [blocked]"}, []string{"BlocksTagPulls *.s.com a/0", "WildcardCollapse *.s.com a/0", "CarveOutOpensBlocked *.aa.s.com b/0"}},
		{"inside an open source it opens nothing", "a: s.com -> m.com\nb: s.com/free -> (none)", []string{"s.com -> m.com", "s.com/free -> (none)"}, nil},
		{"beside a blocked source it opens nothing", "a: s.com/x -> m.com/x [Never]\nb: s.com/xy -> (none)", []string{"s.com/x -> m.com/x [blocked]", "s.com/xy -> (none)"}, []string{"BlocksTagPulls s.com/x a/0"}},
		{"a port is another registry", "a: *.s.com -> m.com [Never]\nb: aa.s.com:5000 -> (none)", []string{"*.s.com -> m.com [blocked]", "aa.s.com:5000 -> (none)"}, []string{"BlocksTagPulls *.s.com a/0", "WildcardCollapse *.s.com a/0"}},
	})
	result := merge(t, "a: s.com -> m.com\nb: s.com/free -> (none)")
	expect(t, "pulls inside the carve-out", tried(t, result.Rules, "s.com/free/x@d"), []string{"s.com/free/x@d"})
}

func TestTheEntryRulesApplyInTheirOrder(t *testing.T) { // E6
	runMergeCases(t, []mergeCase{
		{"E3 before E2: a poisoned source among its own mirrors is lost, not a carve-out", "a: foo -> foo", nil, []string{"InvalidMirror foo a/0"}},
		{"E2 before E4: what is lost does not hide the source", "a: s.com -> s.com, BAD, s.com [Allow]", []string{"s.com -> (none)"}, []string{"InvalidMirror s.com a/0", "PolicyWithoutMirrors s.com a/0"}},
		{"E1 before all: a bad source is not looked at further", "a: S/ -> mirror [Sometimes]", nil, []string{"InvalidSource S/ a/0"}},
	})
}
