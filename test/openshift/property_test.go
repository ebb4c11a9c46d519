// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package openshift_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

var (
	drawSource = rapid.SampledFrom([]string{"s.com", "s.com/x", "s.com/x/y", "s.com:5000", "*.s.com", "a.s.com", "a.s.com/x"})
	drawMirror = rapid.SampledFrom([]configv1.ImageMirror{"s.com", "s.com/x", "a.com", "b.com/p", "c.com:5000", "d.com", "e.com", "f.a.s.com"})
	drawPolicy = rapid.SampledFrom([]configv1.MirrorSourcePolicy{"", "", "", configv1.AllowContactingSource, configv1.NeverContactSource})
	drawScope  = rapid.SampledFrom([]string{"s.com", "*.s.com", "b.com", "c.com:5000", "c.com", "b.com/p", "s.com/x"})
)

// drawSets draws sets of both kinds that the API server accepts: no mirror twice in one entry.
func drawSets(t *rapid.T) []kinds.Set {
	var digests []configv1.ImageDigestMirrorSet
	var tags configv1.ImageTagMirrorSetList
	for _, name := range []string{"a", "b", "c"} {
		digest, tag := configv1.ImageDigestMirrorSet{}, configv1.ImageTagMirrorSet{}
		digest.Name, tag.Name = name, name
		digest.Spec.ImageDigestMirrors = drawEntries(t, name)
		for _, entry := range drawEntries(t, name+" for tags") {
			tag.Spec.ImageTagMirrors = append(tag.Spec.ImageTagMirrors, configv1.ImageTagMirrors(entry))
		}
		digests, tags.Items = append(digests, digest), append(tags.Items, tag)
	}
	of, err := mirrorstest.Of(digests...)
	if err != nil {
		t.Fatal(err)
	}
	forTags, err := kinds.Tag.FromList(&tags)
	if err != nil {
		t.Fatal(err)
	}
	return append(of, forTags...)
}

func drawEntries(t *rapid.T, of string) []configv1.ImageDigestMirrors {
	var entries []configv1.ImageDigestMirrors
	for range rapid.IntRange(0, 3).Draw(t, of) {
		entries = append(entries, configv1.ImageDigestMirrors{
			Source:             drawSource.Draw(t, "source"),
			Mirrors:            rapid.SliceOfNDistinct(drawMirror, 0, 4, rapid.ID[configv1.ImageMirror]).Draw(t, "mirrors"),
			MirrorSourcePolicy: drawPolicy.Draw(t, "policy"),
		})
	}
	return entries
}

// entriesOf are the entries of a source and a mode.
func entriesOf(sets []kinds.Set, source string, mode mirrors.Mode) (entries []mirrors.SetEntry) {
	for _, set := range sets {
		for _, entry := range set.Entries {
			if entry.Source == source && set.Kind.Mode == mode {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// listsOf are the mirror lists of a source that name more than the source itself, for a mode.
func listsOf(sets []kinds.Set, source string, mode mirrors.Mode) [][]string {
	var lists [][]string
	for _, entry := range entriesOf(sets, source, mode) {
		if slices.ContainsFunc(entry.Mirrors, func(m string) bool { return m != source }) {
			lists = append(lists, entry.Mirrors)
		}
	}
	return lists
}

// keeps reports whether an order keeps that of every list. What is not in it, as a source at the end, comes last.
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

// contradict reports whether no order keeps that of every list: taking away what nothing stands before comes to an end early.
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

// TestTheTwoMergesAreTheSameButForOurRules draws sets and insecure scopes. What sources inherit here (T4) is written out for OpenShift.
func TestTheTwoMergesAreTheSameButForOurRules(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		sets := drawSets(t)
		insecure := rapid.SliceOfNDistinct(drawScope, 0, 2, rapid.ID[string]).Draw(t, "insecure")
		written := writeOut(sets)
		for mode := range modes {
			our, their, plain := ours(t, sets, insecure, mode), theirs(t, written, insecure, mode), theirs(t, sets, insecure, mode)
			for source, rule := range our {
				for _, difference := range differences(t, source, mode, sets, written, rule, their[source], plain[source]) {
					seen[difference]++
				}
			}
			for source, rule := range plain {
				if _, is := our[source]; !is && !slices.Contains(insecure, source) {
					t.Fatalf("%s: theirs %+v, ours none", source, rule)
				}
			}
		}
	})
	t.Logf("sources by the rule in which the two differ, for digests and for tags: %v", seen)
	if seen[""] < 10*seen["M3"] || seen[""] == 0 {
		t.Errorf("the two hardly ever agree: %v", seen)
	}
	for _, rule := range []string{"M2", "M3", "M4", "M5", "E5", "T4"} {
		if seen[rule] == 0 {
			t.Errorf("no difference by %s was drawn: %v", rule, seen)
		}
	}
}
