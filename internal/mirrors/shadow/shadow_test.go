// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/mirrors/shadow"
)

// merge merges sets in the notation of mirrorstest, of which those with some names are in shadow mode.
func merge(t *testing.T, text string, inShadowMode ...string) mirrors.Result {
	t.Helper()
	sets, err := mirrorstest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range inShadowMode {
		mirrorstest.Enforce(sets, name, "shadow")
	}
	return kinds.Merge(sets, nil)
}

// said writes rules as "source [blocked]", what is watched as "source by set/index", and findings but for [mirrors.ShadowMode] as "Reason source".
func said(result mirrors.Result) (rules, watched, findings string) {
	var all [3][]string
	for _, r := range result.Rules {
		text := string(r.Source)
		if r.Blocked {
			text += " [blocked]"
		}
		all[0] = append(all[0], text)
	}
	for _, w := range result.Watched {
		text := string(w.Source) + " by"
		for _, e := range w.By {
			text += fmt.Sprintf(" %s/%d", e.Label(), e.Index)
		}
		all[1] = append(all[1], text)
	}
	for _, f := range result.Findings {
		if f.Reason != mirrors.ShadowMode {
			all[2] = append(all[2], fmt.Sprintf("%s %s", f.Reason, f.Source))
		}
	}
	return strings.Join(all[0], ", "), strings.Join(all[1], ", "), strings.Join(all[2], ", ")
}

func TestASetInShadowModeWatchesWhatItWouldBlock(t *testing.T) { // V3
	for _, c := range []struct {
		name, sets, shadow       string
		rules, watched, findings string
	}{
		{"a block", "a: s.com -> m.com [Never]", "a", "s.com", "s.com by a/0", ""},
		{"none", "a: s.com -> m.com [Never]", "", "s.com [blocked]", "", "BlocksTagPulls s.com"},
		{"no policy", "a: s.com -> m.com", "a", "s.com", "", ""},
		{"another set blocks as well", "a: s.com -> m.com [Never]\nb: s.com -> n.com [Never]", "a", "s.com [blocked]", "", "BlocksTagPulls s.com"},
		{"two that would", "a: s.com -> m.com [Never]\nb: s.com -> n.com [Never]", "a b", "s.com", "s.com by a/0 b/0", ""},
		{"a twin for tags", "a: s.com -> m.com [Never]\nT a: s.com -> m.com [Never]", "a", "s.com", "s.com by a/0 itms/a/0", ""},
		{"the other kind blocks", "a: s.com -> m.com [Never]\nT b: s.com -> m.com [Never]", "a", "s.com [blocked]", "", ""},
		{"the other kind blocks a mirror away", "a: s.com -> m.com [Never]\nT b: s.com -> m.com [Never]", "b", "s.com [blocked]", "", ""},
		{"inherited", "T a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x", "a", "s.com, s.com/x", "s.com by itms/a/0, s.com/x by itms/a/0", ""},
		{"a hole", "a: s.com -> m.com [Never]\nb: s.com/x -> (none)", "a", "s.com, s.com/x", "s.com by a/0", ""},
		{"a hole of its own", "a: s.com -> m.com [Never]\nb: s.com/x -> (none)", "b", "s.com [blocked], s.com/x", "", "BlocksTagPulls s.com, CarveOutOpensBlocked s.com/x"},
		{"a conflict that there is not yet", "a: s.com -> m.com [Never]\nb: s.com -> n.com [Allow]", "a", "s.com", "s.com by a/0", ""},
		{"what would block allows nothing", "a: s.com -> m.com [Never]\nb: s.com -> n.com [Never]\nc: s.com -> o.com", "a", "s.com [blocked]", "", "BlocksTagPulls s.com, PolicyConflict s.com"},
		{"nor for the other kind", "a: s.com -> m.com [Never]\nT b: s.com -> n.com [Never]\nT c: s.com -> o.com [Allow]", "b", "s.com [blocked]", "", "PolicyConflict s.com"},
		{"its own mirror", "a: s.com -> m.com, s.com, n.com [Never]", "a", "s.com", "s.com by a/0", ""},
		{"a mirror in it", "a: s.com -> m.com [Never]\nb: t.com -> s.com/t", "a", "s.com, t.com", "s.com by a/0", ""},
		{"a mirror that cannot exist", "a: s.com -> blocked.invalid [Never]", "a", "s.com", "s.com by a/0", ""},
		{"inside a block", "a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x [Never]", "b", "s.com [blocked], s.com/x [blocked]", "", "BlocksTagPulls s.com, BlocksTagPulls s.com/x"},
		{"inside a wildcard's block", "a: *.s.com -> m.com [Never]\nb: a.s.com/x -> n.com/x [Never]", "b", "*.s.com [blocked], a.s.com/x [blocked]", "", "BlocksTagPulls *.s.com, BlocksTagPulls a.s.com/x, WildcardCollapse *.s.com"},
		{"inside a block, and another below", "a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x [Never]\nb: s.com/x/y -> n.com/y [Never]", "b", "s.com [blocked], s.com/x [blocked], s.com/x/y [blocked]", "", "BlocksTagPulls s.com, BlocksTagPulls s.com/x, BlocksTagPulls s.com/x/y"},
		{"inside a block for the other kind", "T a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x [Never]\nT b: s.com/x -> n.com/x [Never]", "b", "s.com [blocked], s.com/x [blocked]", "", "BlocksDigestPulls s.com"},
		{"beside what opens it", "a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x [Never]\nc: s.com/x -> o.com/x [Allow]", "b", "s.com [blocked], s.com/x", "s.com/x by b/0", "BlocksTagPulls s.com"},
		{"beside its own set's word", "a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x [Never]\nb: s.com/x -> o.com/x [Allow]", "b", "s.com [blocked], s.com/x [blocked]", "", "BlocksTagPulls s.com, BlocksTagPulls s.com/x"},
		{"inside a hole", "a: s.com -> m.com [Never]\na: s.com/x -> (none)\nb: s.com/x/y -> n.com/y [Never]", "b", "s.com [blocked], s.com/x, s.com/x/y", "s.com/x/y by b/0", "BlocksTagPulls s.com, CarveOutOpensBlocked s.com/x"},
		{"a hole below", "a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x [Never]\nc: s.com/x/y -> (none)", "b", "s.com [blocked], s.com/x [blocked], s.com/x/y", "", "BlocksTagPulls s.com, BlocksTagPulls s.com/x, CarveOutOpensBlocked s.com/x/y"},
		{"what opens nothing that is enforced", "a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x [Allow]", "b", "s.com [blocked], s.com/x", "", "BlocksTagPulls s.com"},
		{"fails open inside a block", "a: s.com -> m.com [Never]\nb: s.com/x -> Bad/ [Never]", "b", "s.com [blocked]", "", "BlocksTagPulls s.com, InvalidMirror s.com/x"},
		{"fails open inside its own set's word", "a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x [Allow]\nb: s.com/x/y -> Bad/ [Never]", "b", "s.com [blocked], s.com/x, s.com/x/y [blocked]", "", "BlocksTagPulls s.com, BlocksTagPulls s.com/x/y, InvalidMirror s.com/x/y"},
		{"keeps the source inside a block", "a: s.com -> m.com [Never]\nb: s.com/x -> s.com/x, Bad/ [Never]", "b", "s.com [blocked], s.com/x [blocked]", "", "BlocksDigestPulls s.com/x, BlocksTagPulls s.com, BlocksTagPulls s.com/x, InvalidMirror s.com/x"},
		{"fails open", "a: s.com -> Bad/ [Never]", "a", "", "s.com by a/0", "InvalidMirror s.com"},
		{"fails open beside others", "a: s.com -> Bad/ [Never]\nb: s.com -> m.com", "a", "s.com", "s.com by a/0", "InvalidMirror s.com"},
		{"fails open below others", "a: s.com/x -> Bad/ [Never]\nb: s.com -> m.com\nT c: s.com/x/y -> m.com/y", "a", "s.com, s.com/x/y", "s.com/x by a/0, s.com/x/y by a/0", "InvalidMirror s.com/x"},
		{"fails open and keeps the source", "a: s.com -> s.com, Bad/ [Never]", "a", "s.com", "s.com by a/0", "InvalidMirror s.com"},
		{"no mirror", "a: s.com -> (none) [Never]", "a", "s.com", "", "PolicyWithoutMirrors s.com"},
		{"no mirror, against another's block", "a: s.com -> (none) [Never]\nT b: s.com -> m.com [Never]", "a", "s.com [blocked]", "", "PolicyConflict s.com, PolicyWithoutMirrors s.com, BlocksDigestPulls s.com"},
		{"no source", "a: s.com/ -> m.com [Never]", "a", "", "", "InvalidSource s.com/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := merge(t, c.sets, strings.Fields(c.shadow)...)
			rules, watched, findings := said(result)
			if rules != c.rules || watched != c.watched || findings != c.findings {
				t.Errorf("rules %q, watched %q, found %q\nwant  %q, watched %q, found %q", rules, watched, findings, c.rules, c.watched, c.findings)
			}
		})
	}
}

func TestWhatKeepsASourceBlockedHasAPartInItsRule(t *testing.T) { // V3
	rule := merge(t, "a: s.com -> m.com [Never]\nb: s.com/x -> n.com/x [Never]", "b").Rules[1]
	if names, by := mirrors.Names(rule.Entries()), mirrors.Names(rule.BlockedBy); names != "a, b" || by != "a" {
		t.Errorf("%s is of %s and blocked by %s", rule.Source, names, by)
	}
}

func TestASetSaysThatItIsInShadowMode(t *testing.T) { // V3
	for _, c := range []struct{ sets, want string }{
		{"a: s.com -> m.com [Never]\na: t.com -> m.com [Never]", `the set is in shadow mode, so nodes do not enforce its NeverContactSource; it would block "s.com", "t.com". To enforce it, remove the annotation mirrorset.io/enforcement`},
		{"a: s.com -> m.com", "it would block no source that is open now. To enforce it"},
		{"a: s.com -> m.com [Never]\nb: s.com -> m.com [Never]", "it would block no source that is open now. To enforce it"},
		{"a: s.com -> Bad/ [Never]", `it would block "s.com". To enforce it`},
		{"T a: s.com -> m.com [Never]\nb: s.com/x -> m.com", `it would block "s.com", "s.com/x". To enforce it`},
	} {
		found := merge(t, c.sets, "a").Findings
		if len(found) == 0 || found[0].Reason != mirrors.ShadowMode || found[0].Path() != "metadata.annotations" || found[0].Class() != mirrors.Informational || !strings.Contains(found[0].Message, c.want) {
			t.Errorf("%s: found %v", c.sets, found)
		}
	}
}

func TestAnEntryThatWouldBlockWithoutAMirrorSaysSo(t *testing.T) { // E4
	for sets, want := range map[string]string{
		"a: s.com -> Bad/ [Never]":        "; no usable mirror is left, so the entry will block the source once the set is no longer in shadow mode",
		"a: s.com -> s.com, Bad/ [Never]": "; no usable mirror is left, so the entry will block the source once the set is no longer in shadow mode",
		"a: s.com -> Bad/":                "; no usable mirror is left, so the entry is ignored",
		"a: s.com -> m.com, Bad/ [Never]": "",
	} {
		found := merge(t, sets, "a").Findings
		at := slices.IndexFunc(found, func(f mirrors.Finding) bool { return f.Reason == mirrors.InvalidMirror })
		if at < 0 || found[at].Blocks || strings.Contains(found[at].Message, "no usable") != (want != "") || !strings.HasSuffix(found[at].Message, want) {
			t.Errorf("%s: found %v", sets, found)
		}
	}
}

func TestOnlyShadowIsAValueOfTheAnnotation(t *testing.T) { // V3
	for value, want := range map[string]struct{ watches, found bool }{
		"shadow": {true, false}, " shadow\n": {true, false}, "": {false, false}, " ": {false, false},
		"Shadow": {false, true}, "enforce": {false, true}, "shadow, enforce": {false, true}, "none": {false, true},
	} {
		sets, err := mirrorstest.Parse("a: s.com -> m.com [Never]")
		if err != nil {
			t.Fatal(err)
		}
		mirrorstest.Enforce(sets, "a", value)
		result := kinds.Merge(sets, nil)
		if watches := len(result.Watched) == 1; watches != want.watches || result.Rules[0].Blocked == watches {
			t.Errorf("%q: watched %v, rules %v", value, result.Watched, result.Rules)
		}
		at := slices.IndexFunc(result.Findings, func(f mirrors.Finding) bool { return f.Reason == mirrors.InvalidEnforcement })
		if (at >= 0) != want.found {
			t.Fatalf("%q: found %v", value, result.Findings)
		}
		if want.found && (result.Findings[at].Class() != mirrors.LeftOut || !strings.Contains(result.Findings[at].Message, "so nodes enforce NeverContactSource of this set; write shadow, or")) {
			t.Errorf("%q: found %v", value, result.Findings[at])
		}
	}
}

func TestWhatIsTooMuchToWatchIsSaidByEachSet(t *testing.T) { // V4
	var few, many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, "a: registry-%d.example.com -> m.com [Never]\n", i)
		if i < 1500 {
			fmt.Fprintf(&few, "a: registry-%d.example.com -> m.com [Never]\n", i)
		}
	}
	for sets, want := range map[string]bool{few.String(): false, many.String(): true} {
		result := merge(t, sets+"b: t.com -> m.com\nc: u.com -> m.com [Never]", "a", "b")
		text, err := json.Marshal(shadow.Names(result.Watched))
		if err != nil || result.ShadowTooLarge != want || (len(text) > shadow.MaxNames) != want || len(result.Watched) == 0 {
			t.Errorf("%d sources, %d bytes, too large: %t, %v", len(result.Watched), len(text), result.ShadowTooLarge, err)
		}
		if told := len(shadow.Sources(&result)); told != len(result.Watched) && !want || told > 0 && want {
			t.Errorf("nodes are told of %d of %d sources", told, len(result.Watched))
		}
		var by []string
		for _, f := range result.Findings {
			if f.Reason == mirrors.ShadowTooLarge {
				by = append(by, mirrors.Names(f.Entries))
			}
		}
		if says := slices.Equal(by, []string{"a", "b"}); says != want || !want && len(by) > 0 {
			t.Errorf("said by %q", by)
		}
	}
}

func TestRulesThatCouldNotBeEnforcedAreNotWatched(t *testing.T) { // V4
	var sets strings.Builder
	for i := range 600 { // entries that only count once they block are inherited then
		fmt.Fprintf(&sets, "a: s.com -> Bad%d/ [Never]\nT b: s.com/%d -> m.com\n", i, i)
	}
	result := merge(t, sets.String(), "a")
	if result.TooLarge || len(result.Rules) != 600 || len(result.Watched) > 0 || !result.ShadowTooLarge {
		t.Fatalf("%d rules, %d watched, too large to watch: %t", len(result.Rules), len(result.Watched), result.ShadowTooLarge)
	}
	for _, want := range []string{"which sources it would block is unknown", "with NeverContactSource enforced, the rules would be too large to be published"} {
		if !slices.ContainsFunc(result.Findings, func(f mirrors.Finding) bool { return strings.Contains(f.Message, want) }) {
			t.Errorf("nobody says %q", want)
		}
	}
}

func TestMergingLeavesItsInputAsItIs(t *testing.T) {
	in := mirrors.Input{Sets: []mirrors.Set{{Object: mirrors.Object{Kind: &kinds.Digest.Kind, Name: "a"}, Enforcement: "shadow", Entries: []mirrors.SetEntry{{Source: "s.com", Mirrors: []string{"m.com"}, Policy: mirrors.NeverContactSource}}}}}
	for range 2 {
		if result := shadow.Merge(in); len(result.Watched) != 1 || in.Sets[0].Enforcement != "shadow" {
			t.Errorf("watched %v, enforcement %q", result.Watched, in.Sets[0].Enforcement)
		}
	}
}
