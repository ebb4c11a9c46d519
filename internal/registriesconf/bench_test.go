// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"fmt"
	"testing"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// BenchmarkMerge1000Sets merges and writes 1,000 sets of 10 entries with 3 mirrors each, every source in two sets.
func BenchmarkMerge1000Sets(b *testing.B) {
	sets := make([]configv1.ImageDigestMirrorSet, 1000)
	for i := range sets {
		sets[i].Name = fmt.Sprintf("set-%04d", i)
		for j := range 10 {
			sets[i].Spec.ImageDigestMirrors = append(sets[i].Spec.ImageDigestMirrors, configv1.ImageDigestMirrors{
				Source: fmt.Sprintf("r%d.example.com/team-%d", i/2, j),
				Mirrors: []configv1.ImageMirror{
					configv1.ImageMirror(fmt.Sprintf("m%d.local/team", i%2)), "m2.local/team", configv1.ImageMirror(fmt.Sprintf("m%d.local:5000/team", i%2)),
				},
			})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		result := kinds.Merge(of(b, sets), nil)
		text, err := registriesconf.Encode(result.Rules)
		if err != nil || len(result.Rules) != 5000 {
			b.Fatalf("%d rules, error %v", len(result.Rules), err)
		}
		b.SetBytes(int64(len(text)))
	}
}

// BenchmarkMergeHostileSets is the same size, made to find something everywhere: each mirror of 9,000 sources lies in a
// source that 1,000 sets block.
func BenchmarkMergeHostileSets(b *testing.B) {
	sets := make([]configv1.ImageDigestMirrorSet, 1000)
	for i := range sets {
		sets[i].Name = fmt.Sprintf("set-%04d", i)
		sets[i].Spec.ImageDigestMirrors = append(sets[i].Spec.ImageDigestMirrors, configv1.ImageDigestMirrors{
			Source: "m.com", Mirrors: []configv1.ImageMirror{"k1.com", "k2.com", "k3.com"}, MirrorSourcePolicy: configv1.NeverContactSource,
		})
		for j := range 9 {
			sets[i].Spec.ImageDigestMirrors = append(sets[i].Spec.ImageDigestMirrors, configv1.ImageDigestMirrors{
				Source: fmt.Sprintf("h%d.com/n%d", i, j), Mirrors: []configv1.ImageMirror{"m.com/a", "m.com/b", "m.com/c"},
			})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if result := kinds.Merge(of(b, sets), nil); len(result.Findings) < 27000 {
			b.Fatalf("found only %d things", len(result.Findings))
		}
	}
}

func of(tb testing.TB, objects []configv1.ImageDigestMirrorSet) []kinds.Set {
	tb.Helper()
	sets, err := mirrorstest.Of(objects...)
	if err != nil {
		tb.Fatal(err)
	}
	return sets
}
