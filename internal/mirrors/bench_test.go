// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// lookedUp is how many names are looked up in turn, which are more than a node has images.
const lookedUp = 1_000

// BenchmarkLookup finds the rules of names from all over the rules, as the redirector does before it contacts a registry. CRI-O and Podman find
// theirs by sysregistriesv2, which has read its file before.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		rules, names := make([]mirrors.Rule, n), make([]string, min(n, lookedUp))
		var text []byte
		for i, place := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
			source := fmt.Sprintf("r%d.example.com/team", i)
			rules[i].Source = mirrors.Scope(source)
			if place < len(names) {
				names[place] = source + "/app/server"
			}
			text = fmt.Appendf(text, "[[registry]]\nlocation = %q\n", source)
		}
		index := mirrors.NewIndex(rules)
		b.Run(fmt.Sprintf("rules=%d/way=mirrorset", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if index.Find(mirrors.Scope(names[i%len(names)])) == nil {
					b.Fatal("found none")
				}
			}
		})
		dir := b.TempDir()
		system := &types.SystemContext{SystemRegistriesConfPath: filepath.Join(dir, "registries.conf"), SystemRegistriesConfDirPath: filepath.Join(dir, "none")}
		if err := os.WriteFile(system.SystemRegistriesConfPath, text, 0o600); err != nil {
			b.Fatal(err)
		}
		if _, err := sysregistriesv2.TryUpdatingCache(system); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("rules=%d/way=sysregistriesv2", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if found, err := sysregistriesv2.FindRegistry(system, names[i%len(names)]); err != nil || found == nil {
					b.Fatalf("found %v, error %v", found, err)
				}
			}
		})
	}
}

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
