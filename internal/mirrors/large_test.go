// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// numbered returns n values.
func numbered(n int, format string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

// below returns n entries for sources below s.com.
func below(n int) []mirrors.SetEntry {
	all := make([]mirrors.SetEntry, n)
	for i := range all {
		all[i] = mirrors.SetEntry{Source: fmt.Sprintf("s.com/%d", i), Mirrors: []string{"d.net"}}
	}
	return all
}

func digests(entries ...mirrors.SetEntry) mirrors.Set {
	return mirrors.Set{Object: mirrors.Object{Kind: &kinds.Digest.Kind, Name: "d"}, Entries: entries}
}

func tags(entries ...mirrors.SetEntry) mirrors.Set {
	return mirrors.Set{Object: mirrors.Object{Kind: &kinds.Tag.Kind, Name: "t"}, Entries: entries}
}

func TestMoreThanCanBeHeldMakesNoRules(t *testing.T) {
	long := mirrors.SetEntry{Source: "s.com", Mirrors: numbered(5000, "t%d.net")}
	carveOut := mirrors.SetEntry{Source: "s.com"}
	bad := mirrors.SetEntry{Source: "no source", Mirrors: []string{"t.net"}}
	for name, c := range map[string]struct {
		sets     []mirrors.Set
		tooLarge bool
	}{
		"few sources inherit many mirrors":      {[]mirrors.Set{digests(below(50)...), tags(long, bad)}, false},
		"many sources inherit many mirrors":     {[]mirrors.Set{digests(below(5000)...), tags(long, bad)}, true},
		"many sources inherit many entries":     {[]mirrors.Set{digests(below(5000)...), tags(append(slices.Repeat([]mirrors.SetEntry{carveOut}, 5000), bad)...)}, true},
		"one source has many mirrors":           {[]mirrors.Set{digests(mirrors.SetEntry{Source: "s.com", Mirrors: numbered(20000, "m%d.net")}, bad)}, false},
		"one source has too many mirrors":       {[]mirrors.Set{digests(mirrors.SetEntry{Source: "s.com", Mirrors: numbered(mirrors.MaxMirrors+1, "m%d.net")}, bad)}, true},
		"one source has the same mirrors often": {[]mirrors.Set{digests(append(slices.Repeat([]mirrors.SetEntry{long}, 106), bad)...)}, false},
		"many sources have one mirror":          {[]mirrors.Set{digests(below(5000)...), tags(bad)}, false},
	} {
		result := mirrors.Merge(mirrors.Input{Sets: c.sets})
		if result.TooLarge != c.tooLarge || (len(result.Rules) == 0) != c.tooLarge {
			t.Errorf("%s: too large: %t, with %d rules", name, result.TooLarge, len(result.Rules))
		}
		if !slices.ContainsFunc(result.Findings, func(f mirrors.Finding) bool { return f.Reason == mirrors.InvalidSource }) {
			t.Errorf("%s: nothing is said of what is wrong anyhow", name)
		}
	}
}

// Each of these sets is one that the API server takes, and made the manager busy for minutes once: the work must grow with what there is, and
// not with its square. Whoever makes one of them slow again has this package's tests time out.
func TestLargeSetsAreMergedInATimeThatGrowsWithThem(t *testing.T) {
	const n = 60_000
	odd, even := make([]string, n/2), make([]string, n/2)
	for i := 0; i+1 < len(odd); i += 2 {
		odd[i], odd[i+1] = fmt.Sprintf("a%d.net", i), fmt.Sprintf("b%d.net", i)
		even[i], even[i+1] = odd[i+1], odd[i]
	}
	deep := []mirrors.SetEntry{{Source: "s.com" + strings.Repeat("/a", n), Mirrors: []string{"m.net"}}}
	for _, e := range below(n / 10) {
		deep = append(deep, mirrors.SetEntry{Source: e.Source, Mirrors: e.Mirrors})
	}
	insecure := digests(mirrors.SetEntry{Source: "s.com", Mirrors: numbered(n, "m%d.net")})
	insecure.InsecureMirrors = strings.Join(slices.Concat(numbered(n/4, "m%d.net"), numbered(n/4, "*.%d.org")), ",")
	for name, c := range map[string]struct {
		set      mirrors.Set
		reason   mirrors.Reason
		findings int
	}{
		"mirrors in a blocked source": {digests(mirrors.SetEntry{Source: "b.com", Mirrors: []string{"m.net"}, Policy: mirrors.NeverContactSource},
			mirrors.SetEntry{Source: "s.com", Mirrors: numbered(n, "b.com/%d")}), mirrors.MirrorBlocked, n},
		"pairs in contradicting orders": {digests(mirrors.SetEntry{Source: "s.com", Mirrors: odd}, mirrors.SetEntry{Source: "s.com", Mirrors: even}), mirrors.OrderConflict, n / 4},
		"insecure mirrors":              {insecure, mirrors.InvalidInsecureMirrors, 1},
		"a path of many components":     {digests(deep...), mirrors.UnmatchableSource, 1},
	} {
		count := 0
		for _, f := range mirrors.Merge(mirrors.Input{Sets: []mirrors.Set{c.set}}).Findings {
			if f.Reason == c.reason {
				count++
			}
		}
		if count != c.findings {
			t.Errorf("%s: %d findings %s, want %d", name, count, c.reason, c.findings)
		}
	}
}
