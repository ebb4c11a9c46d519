// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

// drawSets draws sets of both kinds, whose sources nest, and of which some are in shadow mode.
func drawSets(t *rapid.T) []kinds.Set {
	source := rapid.SampledFrom([]string{"s.com", "s.com/x", "s.com/x/y", "s.com", "s.com/x", "s.com/x/y", "*.s.com", "a.s.com", "m.com", "m.com/x", "s.com/"})
	place := rapid.SampledFrom([]string{"m.com", "n.com/x", "s.com", "s.com/x", "mirror", "Bad/", "blocked.invalid"})
	var text strings.Builder
	if rapid.Bool().Draw(t, "a block") {
		text.WriteString("c: s.com -> m.com [Never]\n")
	}
	for range rapid.IntRange(1, 9).Draw(t, "entries") {
		places := rapid.SliceOfNDistinct(place, 0, 3, rapid.ID).Draw(t, "mirrors")
		if len(places) == 0 {
			places = []string{"(none)"}
		}
		fmt.Fprintf(&text, "%s %s: %s -> %s%s\n", rapid.SampledFrom([]string{"D", "T"}).Draw(t, "kind"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "set"),
			source.Draw(t, "source"), strings.Join(places, ", "), rapid.SampledFrom([]string{"", " [Never]", " [Never]", " [Allow]"}).Draw(t, "policy"))
	}
	sets, err := mirrorstest.Parse(text.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if rapid.SampledFrom([]bool{true, true, false}).Draw(t, name+" in shadow mode") {
			mirrorstest.Enforce(sets, name, "shadow")
		}
	}
	return sets
}

// others returns the sets that are not in shadow mode.
func others(sets []kinds.Set) []kinds.Set {
	return slices.DeleteFunc(slices.Clone(sets), func(s kinds.Set) bool { return s.GetAnnotations()[mirrors.EnforcementAnnotation] != "" })
}

// withoutPolicies returns the sets with no policy that would block on those in shadow mode, and without the annotation.
func withoutPolicies(sets []kinds.Set) []kinds.Set {
	all := kinds.Enforced(sets)
	for i := range all {
		if sets[i].GetAnnotations()[mirrors.EnforcementAnnotation] == "" {
			continue
		}
		for j := range all[i].Entries {
			if all[i].Entries[j].Policy == mirrors.NeverContactSource {
				all[i].Entries[j].Policy = ""
			}
		}
	}
	return all
}

func blocked(rules []mirrors.Rule) map[mirrors.Scope][]mirrors.Entry {
	all := make(map[mirrors.Scope][]mirrors.Entry)
	for _, r := range rules {
		if r.Blocked {
			all[r.Source] = r.BlockedBy
		}
	}
	return all
}

// TestWatchedIsWhatEnforcingBlocks is V3: what is blocked is what is blocked both without the sets in shadow mode and with these enforced, what is
// watched is what is blocked more once nobody has the annotation, and all else of the rules is as without the policies of sets in shadow mode.
func TestWatchedIsWhatEnforcingBlocks(t *testing.T) {
	watches, keeps := 0, 0
	check := func(t *rapid.T) {
		sets := drawSets(t)
		result, none, enforced, without := kinds.Merge(sets, nil), kinds.Merge(withoutPolicies(sets), nil), kinds.Merge(kinds.Enforced(sets), nil), kinds.Merge(others(sets), nil)
		if len(none.Watched)+len(enforced.Watched)+len(without.Watched) > 0 {
			t.Fatalf("watched without sets in shadow mode: %v, %v, %v", none.Watched, enforced.Watched, without.Watched)
		}
		keeps += checkRules(t, sets, result.Rules, none.Rules, without.Rules)
		want, got := blocked(enforced.Rules), make(map[mirrors.Scope][]mirrors.Entry)
		for source := range blocked(result.Rules) {
			if !isBlocked(enforced.Rules, source) {
				t.Fatalf("%s is open once all is enforced", source)
			}
		}
		for source := range want {
			for _, name := range []mirrors.Scope{source, source + "/deep"} {
				if is, should := isBlocked(result.Rules, name), isBlocked(without.Rules, name) && isBlocked(enforced.Rules, name); is != should {
					t.Fatalf("%s is blocked: %t; without the sets in shadow mode: %t", name, is, isBlocked(without.Rules, name))
				}
			}
			if isBlocked(without.Rules, source) {
				delete(want, source)
			}
		}
		for _, w := range result.Watched {
			got[w.Source] = w.By
			for _, e := range w.By {
				if !isInShadowMode(sets, e) {
					t.Fatalf("%s is watched by %s, which is not in shadow mode", w.Source, e.Label())
				}
			}
		}
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("watched %v\nwant    %v", got, want)
		}
		if !slices.IsSortedFunc(result.Watched, func(a, b mirrors.Watched) int { return strings.Compare(string(a.Source), string(b.Source)) }) {
			t.Fatalf("out of order: %v", result.Watched)
		}
		watches += len(got)
		checkFindings(t, sets, result)
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 5 {
			check(t)
		}
	})
	if watches < 20 || keeps < 5 {
		t.Errorf("%d sources were watched, and %d kept blocked, which is too few to count", watches, keeps)
	}
}

// isInShadowMode tells it of the set that an entry is of.
func isInShadowMode(sets []kinds.Set, e mirrors.Entry) bool {
	return kinds.Find(sets, e.Object).GetAnnotations()[mirrors.EnforcementAnnotation] != ""
}

// isBlocked reports whether rules block a name, or all of a source.
func isBlocked(rules []mirrors.Rule, name mirrors.Scope) bool {
	index := mirrors.NewIndex(rules)
	if source := mirrors.Scope(strings.TrimSuffix(string(name), "/deep")); source != name && source.IsWildcard() {
		name = "deep" + source[1:]
	}
	rule := index.At(name)
	if rule == nil && !name.IsWildcard() {
		rule = index.Resolve(mirrors.Reference{Name: string(name)}).Rule
	} else if rule == nil {
		rule = index.Enclosing(name)
	}
	return rule != nil && rule.Blocked
}

// checkRules compares rules with those without the policies of sets in shadow mode, and returns how many are blocked more, each by what blocks it without
// these sets.
func checkRules(t *rapid.T, sets []kinds.Set, rules, none, without []mirrors.Rule) (more int) {
	before, by := mirrors.NewIndex(none), mirrors.NewIndex(without)
	for _, rule := range rules {
		was := before.At(rule.Source)
		if was != nil && !rule.Blocked && !reflect.DeepEqual(rule, *was) {
			t.Fatalf("rule:\n %+v\nwithout policies:\n %+v", rule, *was)
		}
		if was == nil && (!rule.Blocked || !slices.ContainsFunc(rule.From, func(e mirrors.Entry) bool { return isInShadowMode(sets, e) })) {
			t.Fatalf("there is a rule that nobody asked for: %+v", rule)
		}
		if was != nil && !slices.Equal(locations(rule), locations(*was)) {
			t.Fatalf("mirrors of %s: %q, without policies: %q", rule.Source, locations(rule), locations(*was))
		}
		if !rule.Blocked || was != nil && was.Blocked {
			continue
		}
		more++
		blocker := by.At(rule.Source)
		if blocker == nil {
			blocker = by.Enclosing(rule.Source)
		}
		if !reflect.DeepEqual(rule.BlockedBy, blocker.BlockedBy) {
			t.Fatalf("%s is blocked by %v, and without the sets in shadow mode by %v", rule.Source, rule.BlockedBy, blocker.BlockedBy)
		}
	}
	if len(rules)-more > len(none) || len(rules) < len(none) {
		t.Fatalf("%d rules, without policies %d", len(rules), len(none))
	}
	return more
}

// locations are those of a rule's mirrors, but for the source itself.
func locations(rule mirrors.Rule) (all []string) {
	for _, m := range rule.Mirrors {
		for _, mode := range []mirrors.Mode{mirrors.ByDigest, mirrors.ByTag} {
			if m.Location != rule.Source && m.Modes&mode != 0 {
				all = append(all, fmt.Sprintf("%s for a %s", m.Location, mode))
			}
		}
	}
	slices.Sort(all)
	return all
}

// checkFindings wants nothing said of a block that there is not, and no set in shadow mode named for what it does not do.
func checkFindings(t *rapid.T, sets []kinds.Set, result mirrors.Result) {
	index := mirrors.NewIndex(result.Rules)
	for _, f := range result.Findings {
		rule := index.At(f.Source)
		switch f.Reason {
		case mirrors.PolicyConflict, mirrors.SourceInOwnMirrors, mirrors.BlocksTagPulls, mirrors.BlocksDigestPulls:
			if rule == nil || !rule.Blocked {
				t.Fatalf("%s of %s, which is open: %s", f.Reason, f.Source, f.Message)
			}
		case mirrors.CarveOutOpensBlocked:
			if outer := index.Enclosing(f.Source); outer == nil || !outer.Blocked {
				t.Fatalf("%s in an open source: %s", f.Reason, f.Message)
			}
		}
		if f.Blocks && f.Reason == mirrors.InvalidSource && kinds.Find(sets, f.Entries[0].Object).GetAnnotations()[mirrors.EnforcementAnnotation] != "" {
			t.Fatalf("%s is said to block: %s", f.Source, f.Message)
		}
	}
}
