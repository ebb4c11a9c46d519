// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package compare_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/compare"
)

func TestRulesKeepWhatEarlierOnesGave(t *testing.T) {
	const both = mirrors.ByDigest | mirrors.ByTag
	type rule = mirrors.Rule
	at := func(location mirrors.Scope, modes mirrors.Mode) mirrors.Mirror {
		return mirrors.Mirror{Location: location, Modes: modes}
	}
	one := rule{Source: "s.com", Blocked: true, Mirrors: []mirrors.Mirror{at("m.com", both)}}
	open := rule{Source: "s.com", Mirrors: one.Mirrors}
	insecure := rule{Source: "s.com", Insecure: true, Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: both, Insecure: true}}}
	for name, c := range map[string]struct {
		after, before []rule
		want          bool
	}{
		"nothing of nothing":                     {nil, nil, true},
		"something of nothing":                   {[]rule{one}, nil, true},
		"the same":                               {[]rule{one}, []rule{one}, true},
		"one more":                               {[]rule{one, {Source: "t.com"}}, []rule{one}, true},
		"nothing of something":                   {nil, []rule{one}, false},
		"another source":                         {[]rule{{Source: "t.com", Blocked: true}}, []rule{one}, false},
		"a broader source":                       {[]rule{one}, []rule{{Source: "s.com/a", Blocked: true}}, false},
		"one of two":                             {[]rule{one}, []rule{one, {Source: "t.com"}}, false},
		"a block is gone":                        {[]rule{open}, []rule{one}, false},
		"a block has come":                       {[]rule{one}, []rule{open}, true},
		"a mirror is gone":                       {[]rule{{Source: "s.com", Blocked: true}}, []rule{one}, false},
		"another mirror":                         {[]rule{{Source: "s.com", Blocked: true, Mirrors: []mirrors.Mirror{at("n.com", both)}}}, []rule{one}, false},
		"one more mirror, before the other":      {[]rule{{Source: "s.com", Blocked: true, Mirrors: []mirrors.Mirror{at("n.com", both), at("m.com", both)}}}, []rule{one}, true},
		"a mirror for digests alone":             {[]rule{{Source: "s.com", Blocked: true, Mirrors: []mirrors.Mirror{at("m.com", mirrors.ByDigest)}}}, []rule{one}, false},
		"a mirror for digests, and one for tags": {[]rule{{Source: "s.com", Blocked: true, Mirrors: []mirrors.Mirror{at("m.com", mirrors.ByDigest), at("m.com", mirrors.ByTag)}}}, []rule{one}, true},
		"what is insecure stays so":              {[]rule{insecure}, []rule{insecure}, true},
		"what is insecure has become more":       {[]rule{insecure}, []rule{open}, true},
		"a source is not insecure any more":      {[]rule{{Source: "s.com", Mirrors: insecure.Mirrors}}, []rule{insecure}, false},
		"a mirror is not insecure any more":      {[]rule{{Source: "s.com", Insecure: true, Mirrors: one.Mirrors}}, []rule{insecure}, false},
		"a hole in a block":                      {[]rule{one, {Source: "s.com/a/b"}}, []rule{one}, false},
		"a block in a block":                     {[]rule{one, {Source: "s.com/a", Blocked: true}}, []rule{one}, true},
		"a hole that was there":                  {[]rule{one, {Source: "s.com/a"}}, []rule{one, {Source: "s.com/a"}}, true},
		"a hole in a hole":                       {[]rule{one, {Source: "s.com/a"}, {Source: "s.com/a/b"}}, []rule{one, {Source: "s.com/a"}}, true},
		"a hole in a blocked wildcard":           {[]rule{{Source: "*.s.com", Blocked: true}, {Source: "a.s.com/x"}}, []rule{{Source: "*.s.com", Blocked: true}}, false},
		"a wildcard in a blocked wildcard":       {[]rule{{Source: "*.s.com", Blocked: true}, {Source: "*.a.s.com"}}, []rule{{Source: "*.s.com", Blocked: true}}, false},
		"a wildcard is no host":                  {[]rule{{Source: "s.com", Blocked: true}}, []rule{{Source: "*.s.com", Blocked: true}}, false},
	} {
		if got := compare.Keeps(c.after, c.before); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}
