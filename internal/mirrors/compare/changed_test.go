// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package compare_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/compare"
)

func TestSourcesChangeWhereTheyArePulledOtherwise(t *testing.T) {
	rule := func(change ...func(*mirrors.Rule)) []mirrors.Rule {
		r := mirrors.Rule{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "a.com", Modes: mirrors.ByDigest}, {Location: "b.com", Modes: mirrors.ByDigest}}}
		for _, do := range change {
			do(&r)
		}
		return []mirrors.Rule{{Source: "r.com"}, r}
	}
	for name, c := range map[string]struct {
		after []mirrors.Rule
		want  []string
	}{
		"nothing":               {rule(), nil},
		"other entries":         {rule(func(r *mirrors.Rule) { r.From = []mirrors.Entry{{}} }), nil},
		"it is blocked":         {rule(func(r *mirrors.Rule) { r.Blocked = true }), []string{"s.com"}},
		"it is insecure":        {rule(func(r *mirrors.Rule) { r.Insecure = true }), []string{"s.com"}},
		"another order":         {rule(func(r *mirrors.Rule) { slices.Reverse(r.Mirrors) }), []string{"s.com"}},
		"another mode":          {rule(func(r *mirrors.Rule) { r.Mirrors[1].Modes = mirrors.ByTag }), []string{"s.com"}},
		"an insecure mirror":    {rule(func(r *mirrors.Rule) { r.Mirrors[0].Insecure = true }), []string{"s.com"}},
		"a mirror more":         {rule(func(r *mirrors.Rule) { r.Mirrors = append(r.Mirrors, mirrors.Mirror{Location: "c.com"}) }), []string{"s.com"}},
		"a source has gone":     {rule()[1:], []string{"r.com"}},
		"a source has come":     {append(rule(), mirrors.Rule{Source: "t.com"}), []string{"t.com"}},
		"all sources have gone": {nil, []string{"r.com", "s.com"}},
	} {
		if got := slices.Sorted(maps.Keys(compare.Changed(rule(), c.after))); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
