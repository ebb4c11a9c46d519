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
		"a mirror outside the grammar":  {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "*.m.com"}}},
		"a mirror that fails all pulls": {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "mirror"}}},
		"a mirror named twice":          {Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com"}, {Location: "m.com"}}},
		"a blocked source as mirror":    {Source: "s.com", Blocked: true, Mirrors: []mirrors.Mirror{{Location: "m.com"}, {Location: "s.com"}}},
	} {
		if err := rule.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	good := mirrors.Rule{Source: "s.com", Mirrors: []mirrors.Mirror{{Location: "m.com"}, {Location: "s.com"}, {Location: "n.com"}}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
