// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

func TestSourcesAreComparedAsWritten(t *testing.T) {
	runMergeCases(t, []mergeCase{
		{"case counts", "a: S.com -> m1.com\nb: s.com -> m2.com", []string{"S.com -> m1.com", "s.com -> m2.com"}, []string{"UnmatchableSource S.com a/0"}},
		{"a port counts", "a: s.com:443 -> m1.com\nb: s.com -> m2.com", []string{"s.com -> m2.com", "s.com:443 -> m1.com"}, nil},
		{"a policy stays with its source", "a: s.com -> m1.com [Never]\nb: s.com/x -> m2.com/x", []string{"s.com -> m1.com [blocked]", "s.com/x -> m2.com/x"}, []string{"BlocksTagPulls s.com a/0"}},
	})
}

func TestMirrorListsOfOneSourceMerge(t *testing.T) {
	runMergeCases(t, []mergeCase{
		{"M1: overlapping lists join", "a: s.com -> a.m, b.m, c.m\nb: s.com -> c.m, d.m, e.m", []string{"s.com -> a.m, b.m, c.m, d.m, e.m"}, nil},
		{"M1: a later list goes before", "a: s.com -> b.m, c.m\nb: s.com -> a.m, b.m", []string{"s.com -> a.m, b.m, c.m"}, nil},
		{"M1: entries of one object join", "a: s.com -> b.m, c.m\na: s.com -> a.m, b.m", []string{"s.com -> a.m, b.m, c.m"}, nil},
		{"M2: disjoint lists follow the objects' names", "b: s.com -> a1.m, b2.m\na: s.com -> z1.m, y2.m", []string{"s.com -> z1.m, y2.m, a1.m, b2.m"}, nil},
		{"M2: names are read in byte order", "20-global: s.com -> g.m\n10-site: s.com -> s.m\n100-x: s.com -> x.m", []string{"s.com -> s.m, x.m, g.m"}, nil},
		{"M2: entries are read from top to bottom", "a: s.com -> z.m\na: s.com -> y.m", []string{"s.com -> z.m, y.m"}, nil},
		{"M3: a contradiction falls back to first appearance", "a: s.com -> a.m, b.m\nb: s.com -> b.m, a.m", []string{"s.com -> a.m, b.m"}, []string{"OrderConflict s.com a/0 b/0"}},
		{"M3: only those inside the contradiction do", "a: s.com -> p.m, a.m, b.m, x.m\nb: s.com -> b.m, a.m\nc: s.com -> x.m, y.m\nd: s.com -> o.m, p.m", []string{"s.com -> o.m, p.m, a.m, b.m, x.m, y.m"}, []string{"OrderConflict s.com a/0 b/0"}},
		{"M3: a list with one mirror of a contradiction has no part in it", "a: s.com -> a.m, b.m\nb: s.com -> b.m, a.m\nc: s.com -> a.m, z.m", []string{"s.com -> a.m, b.m, z.m"}, []string{"OrderConflict s.com a/0 b/0"}},
		{"M3: two contradictions are two findings", "a: s.com -> a.m, b.m\nb: s.com -> b.m, a.m\nc: s.com -> y.m, z.m\nd: s.com -> z.m, y.m", []string{"s.com -> a.m, b.m, y.m, z.m"}, []string{"OrderConflict s.com a/0 b/0", "OrderConflict s.com c/0 d/0"}},
		{"M3: a contradiction may go through three lists", "a: s.com -> a.m, b.m\nb: s.com -> b.m, c.m\nc: s.com -> c.m, a.m", []string{"s.com -> a.m, b.m, c.m"}, []string{"OrderConflict s.com a/0 b/0 c/0"}},
		{"M4: the source at the end is dropped", "a: s.com -> m1.m, s.com", []string{"s.com -> m1.m"}, nil},
		{"M4: the source in the middle stays", "a: s.com -> m1.m, s.com, m2.m", []string{"s.com -> m1.m, s.com, m2.m"}, nil},
		{"M4: the source in front stays", "a: s.com -> s.com, m1.m", []string{"s.com -> s.com, m1.m"}, nil},
		{"M4: other lists stand before the source", "a: s.com -> m1.m, s.com, m2.m\nb: s.com -> m3.m", []string{"s.com -> m1.m, m3.m, s.com, m2.m"}, nil},
		{"M4: the implicit place yields to an explicit one", "a: s.com -> s.com, m1.m\nb: s.com -> m1.m", []string{"s.com -> s.com, m1.m"}, nil},
		{"M4: it yields to what follows from explicit ones", "a: s.com -> s.com, m1.m\nb: s.com -> m1.m, m2.m\nc: s.com -> m2.m, m3.m", []string{"s.com -> s.com, m1.m, m2.m, m3.m"}, nil},
		{"M4: an explicit contradiction about the source is one", "a: s.com -> s.com, m1.m\nb: s.com -> m1.m, s.com", []string{"s.com -> s.com, m1.m"}, []string{"OrderConflict s.com a/0 b/0"}},
		{"M5: one Never blocks", "a: s.com -> m1.m\nb: s.com -> m2.m [Never]", []string{"s.com -> m1.m, m2.m [blocked]"}, []string{"PolicyConflict s.com a/0 b/0", "BlocksTagPulls s.com b/0"}},
		{"M5: an explicit Allow is overruled", "a: s.com -> m1.m [Allow]\nb: s.com -> m2.m [Never]", []string{"s.com -> m1.m, m2.m [blocked]"}, []string{"PolicyConflict s.com a/0 b/0", "BlocksTagPulls s.com b/0"}},
		{"M5: two Nevers agree", "a: s.com -> m1.m [Never]\nb: s.com -> m2.m [Never]", []string{"s.com -> m1.m, m2.m [blocked]"}, []string{"BlocksTagPulls s.com a/0 b/0"}},
		{"M5: a blocked source leaves its own mirrors", "a: s.com -> m1.m, s.com, m2.m [Never]", []string{"s.com -> m1.m, m2.m [blocked]"}, []string{"BlocksTagPulls s.com a/0", "SourceInOwnMirrors s.com a/0"}},
		{"M5: it leaves the lists of others", "a: s.com -> s.com, m1.m\nb: s.com -> m2.m [Never]", []string{"s.com -> m1.m, m2.m [blocked]"}, []string{"PolicyConflict s.com a/0 b/0", "SourceInOwnMirrors s.com a/0", "BlocksTagPulls s.com b/0"}},
	})
}

func TestMergeNamesTheEntriesThatARuleComesFrom(t *testing.T) {
	result := merge(t, "a: s.com -> m1.m, m2.m\nb: x.com -> m1.m\nb: s.com -> m2.m, m3.m [Never]\nc: s.com -> (none)")
	a, b, c := in("a", 0), in("b", 1), in("c", 0)
	want := mirrors.Rule{
		Source: "s.com", Blocked: true, From: []mirrors.Entry{a, b, c}, BlockedBy: []mirrors.Entry{b},
		Mirrors: []mirrors.Mirror{
			{Location: "m1.m", Modes: mirrors.ByDigest, From: []mirrors.Entry{a}},
			{Location: "m2.m", Modes: mirrors.ByDigest, From: []mirrors.Entry{a, b}},
			{Location: "m3.m", Modes: mirrors.ByDigest, From: []mirrors.Entry{b}},
		},
	}
	if got := result.Rules[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestInsecureScopesMarkSourcesAndMirrors(t *testing.T) {
	for _, c := range []struct {
		name, scope string
		insecure    []string
	}{
		{"a host marks all below it", "m.com", []string{"m.com/a"}},
		{"a path marks itself", "m.com/a", []string{"m.com/a"}},
		{"components match whole", "m.co", nil},
		{"a wildcard marks subdomains at any depth", "*.s.com", []string{"*.a.s.com", "a.s.com"}},
		{"a wildcard marks itself", "*.a.s.com", []string{"*.a.s.com"}},
		{"a port is another registry", "m.com:5000", []string{"m.com:5000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			result := merge(t, "a: *.a.s.com -> m.com/a, m.com:5000\na: a.s.com -> n.com", c.scope)
			var got []string
			for _, rule := range result.Rules {
				if rule.Insecure {
					got = append(got, string(rule.Source))
				}
				for _, m := range rule.Mirrors {
					if m.Insecure {
						got = append([]string{string(m.Location)}, got...)
					}
				}
			}
			expect(t, "insecure", got, c.insecure)
		})
	}
	if _, err := mirrors.ParseScopes([]string{"m.com", "http://m.com"}); err == nil {
		t.Error("ParseScopes accepts a scheme")
	}
}

func TestTheOrderOfTheListCallDoesNotMatter(t *testing.T) {
	sets, err := mirrorstest.Parse("c: s.com -> b.m, c.m\na: s.com -> c.m, b.m, s.com, d.m\nb: s.com -> a.m, B/\nd: *.s.com -> x.m [Never]\ne: s.com/x -> (none) [Never]")
	if err != nil {
		t.Fatal(err)
	}
	want := kinds.Merge(sets, nil)
	for range 100 {
		rand.Shuffle(len(sets), func(i, j int) { sets[i], sets[j] = sets[j], sets[i] })
		if got := kinds.Merge(sets, nil); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	}
}
