// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"fmt"
	"testing"

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
