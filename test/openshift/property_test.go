// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package openshift_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

var (
	drawSource = rapid.SampledFrom([]string{"s.com", "s.com/x", "s.com/x/y", "s.com:5000", "*.s.com", "a.s.com"})
	drawMirror = rapid.SampledFrom([]configv1.ImageMirror{"s.com", "s.com/x", "a.com", "b.com/p", "c.com:5000", "d.com", "e.com", "f.a.s.com"})
	drawPolicy = rapid.SampledFrom([]configv1.MirrorSourcePolicy{"", "", "", configv1.AllowContactingSource, configv1.NeverContactSource})
	drawScope  = rapid.SampledFrom([]string{"s.com", "*.s.com", "b.com", "c.com:5000", "c.com", "b.com/p", "s.com/x"})
)

// drawSets draws sets that the API server accepts: no mirror twice in one entry.
func drawSets(t *rapid.T) []kinds.Set {
	var sets []configv1.ImageDigestMirrorSet
	for _, name := range []string{"a", "b", "c"} {
		set := configv1.ImageDigestMirrorSet{}
		set.Name = name
		for range rapid.IntRange(0, 3).Draw(t, name) {
			set.Spec.ImageDigestMirrors = append(set.Spec.ImageDigestMirrors, configv1.ImageDigestMirrors{
				Source:             drawSource.Draw(t, "source"),
				Mirrors:            rapid.SliceOfNDistinct(drawMirror, 0, 4, rapid.ID[configv1.ImageMirror]).Draw(t, "mirrors"),
				MirrorSourcePolicy: drawPolicy.Draw(t, "policy"),
			})
		}
		sets = append(sets, set)
	}
	of, err := mirrorstest.Of(sets...)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// listsOf are the mirror lists of a source that name more than the source itself.
func listsOf(sets []kinds.Set, source string) [][]string {
	var lists [][]string
	for _, set := range sets {
		for _, entry := range set.Entries {
			if entry.Source == source && slices.ContainsFunc(entry.Mirrors, func(m string) bool { return m != source }) {
				lists = append(lists, entry.Mirrors)
			}
		}
	}
	return lists
}

// keeps tells whether an order keeps that of every list. What is not in it, as a source at the end, comes last.
func keeps(order []string, lists [][]string) bool {
	place := func(mirror string) int {
		if i := slices.Index(order, mirror); i >= 0 {
			return i
		}
		return len(order)
	}
	for _, list := range lists {
		if !slices.IsSortedFunc(list, func(a, b string) int { return place(a) - place(b) }) {
			return false
		}
	}
	return true
}

// contradict tells whether no order keeps that of every list: taking away what nothing stands before comes to an end early.
func contradict(lists [][]string) bool {
	left := slices.Clone(lists)
	for {
		left = slices.DeleteFunc(left, func(list []string) bool { return len(list) == 0 })
		first := slices.IndexFunc(left, func(list []string) bool {
			return !slices.ContainsFunc(left, func(other []string) bool { return slices.Index(other, list[0]) > 0 })
		})
		if first < 0 {
			return len(left) > 0
		}
		mirror := left[first][0]
		for i, list := range left {
			if len(list) > 0 && list[0] == mirror {
				left[i] = list[1:]
			}
		}
	}
}

// sorted returns a sorted copy.
func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// without returns the list without a mirror.
func without(list []string, mirror string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(m string) bool { return m == mirror })
}

// withoutMirror returns the rule without a mirror.
func (r rule) withoutMirror(mirror string) rule {
	r.mirrors, r.insecure = without(r.mirrors, mirror), without(r.insecure, mirror)
	return r
}

// compare names the rule by which the two differ about a source that has mirrors; "" where they do not.
func compare(t fatal, source string, lists [][]string, our, their rule) string {
	t.Helper()
	wrong := func() { t.Fatalf("%s, lists %v: ours %+v, theirs %+v", source, lists, our, their) }
	if our.blocked != their.blocked || our.open != their.open || our.blocked && slices.Contains(our.mirrors, source) {
		wrong()
	}
	difference := ""
	explicit := slices.Contains(slices.Concat(lists...), source)
	if our.blocked && explicit {
		difference = "M5"
		their = their.withoutMirror(source)
		for i := range lists {
			lists[i] = without(lists[i], source)
		}
	}
	switch {
	case slices.Equal(our.mirrors, their.mirrors):
	case contradict(lists):
		difference = "M3"
	case !keeps(our.mirrors, lists):
		wrong()
	case keeps(their.mirrors, lists):
		difference = "M2"
	case explicit:
		difference = "M4"
	default:
		wrong()
	}
	// The source is no mirror of either where it is the last.
	one, other := our.withoutMirror(source), their.withoutMirror(source)
	if !slices.Equal(sorted(one.mirrors), sorted(other.mirrors)) || !slices.Equal(sorted(one.insecure), sorted(other.insecure)) {
		wrong()
	}
	return difference
}

// TestTheTwoMergesAreTheSameButForOurRules draws sets and insecure scopes.
func TestTheTwoMergesAreTheSameButForOurRules(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		sets := drawSets(t)
		insecure := rapid.SliceOfNDistinct(drawScope, 0, 2, rapid.ID[string]).Draw(t, "insecure")
		our, their := ours(t, sets, insecure), theirs(t, sets, insecure)
		for source, rule := range our {
			lists := listsOf(sets, source)
			if len(lists) > 0 {
				seen[compare(t, source, lists, rule, their[source])]++
				continue
			}
			seen["E5"]++
			if len(rule.mirrors) > 0 || rule.blocked {
				t.Fatalf("%s has no mirrors: ours %+v", source, rule)
			}
		}
		for source, rule := range their {
			if _, is := our[source]; !is && !slices.Contains(insecure, source) {
				t.Fatalf("%s: theirs %+v, ours none", source, rule)
			}
		}
	})
	t.Logf("sources by the rule in which the two differ: %v", seen)
	if seen[""] < 10*seen["M3"] || seen[""] == 0 {
		t.Errorf("the two hardly ever agree: %v", seen)
	}
}
