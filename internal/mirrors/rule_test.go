// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func TestValidateRefusesWhatMergeWouldNotMake(t *testing.T) {
	for name, rule := range map[string]mirrors.Rule{
		"a source outside the grammar":  {Source: "s.com/"},
		"no source":                     {},
		"a mirror outside the grammar":  {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "*.m.com", Modes: mirrors.ByDigest}}},
		"a mirror that fails all pulls": {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "mirror", Modes: mirrors.ByDigest}}},
		"a mirror named twice":          {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}, {Location: "m.com", Modes: mirrors.ByDigest}}},
		"a blocked source as mirror":    {Source: "s.com", Blocked: true, Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}, {Location: "s.com", Modes: mirrors.ByDigest}}},
		"a mirror for nothing":          {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com"}}},
		"tags before digests":           {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByTag}, {Location: "n.com", Modes: mirrors.ByDigest}}},
		"the same for both, twice":      {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}, {Location: "m.com", Modes: mirrors.ByTag}}},
		"one of several for both":       {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest | mirrors.ByTag}, {Location: "n.com", Modes: mirrors.ByTag}}},
	} {
		if err := rule.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	good := mirrors.Rule{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}, {Location: "s.com", Modes: mirrors.ByDigest}, {Location: "n.com", Modes: mirrors.ByDigest}}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	tags := mirrors.Rule{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com", Modes: mirrors.ByDigest}, {Location: "n.com", Modes: mirrors.ByTag}, {Location: "m.com", Modes: mirrors.ByTag}}}
	if err := tags.Validate(); err != nil {
		t.Error(err)
	}
}
