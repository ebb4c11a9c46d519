// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"fmt"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		rules := make([]mirrors.Rule, n)
		for i := range rules {
			rules[i] = mirrors.Rule{Source: mirrors.Scope(fmt.Sprintf("r%d.example.com/team", i)), Mirrors: []mirrors.Mirror{{Location: "m1.local/team", Modes: mirrors.ByDigest}, {Location: "m2.local/team", Modes: mirrors.ByDigest}}}
		}
		index := mirrors.NewIndex(rules)
		ref, err := mirrors.ParseReference("r42.example.com/team/app/server" + digest)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(index.Resolve(ref).PullSources) != 3 {
					b.Fatal("resolved to the wrong places")
				}
			}
		})
	}
}

// Inheritance multiplies: each source of one kind takes over the mirrors of a broader one of the other kind.
func BenchmarkMergeOfInheritedMirrors(b *testing.B) {
	for _, size := range []struct{ sources, mirrors int }{{10_000, 4}, {1_000, 400}, {10_000, 400}} {
		tags := mirrors.Set{Object: mirrors.Object{Kind: &kinds.Tag.Kind, Name: "t"}, Entries: []mirrors.SetEntry{{Source: "quay.io"}}}
		for i := range size.mirrors {
			tags.Entries[0].Mirrors = append(tags.Entries[0].Mirrors, fmt.Sprintf("m%d.example.com/team", i))
		}
		digests := mirrors.Set{Object: mirrors.Object{Kind: &kinds.Digest.Kind, Name: "d"}}
		for i := range size.sources {
			digests.Entries = append(digests.Entries, mirrors.SetEntry{Source: fmt.Sprintf("quay.io/team-%d/app", i), Mirrors: []string{"m.local/app"}})
		}
		b.Run(fmt.Sprintf("sources=%d,mirrors=%d", size.sources, size.mirrors), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := len(mirrors.Merge(mirrors.Input{Sets: []mirrors.Set{tags, digests}}).Rules); got != size.sources+1 {
					b.Fatalf("%d rules", got)
				}
			}
		})
	}
}
