// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf_test

import (
	"maps"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

func TestTheObjectsThatBlockASourceAreReadBack(t *testing.T) {
	sets, err := mirrorstest.Parse("10-a: s.com -> m.com [Never]\n20-b: s.com -> n.com [Never]\n20-b: t.com -> m.com\n" +
		"20-b: *.u.com -> m.com [Never]\n30-c: *.u.com -> n.com\n\"by me\": v.com/x -> m.com [Never]\n20-b: w.com -> (none)")
	if err != nil {
		t.Fatal(err)
	}
	text, err := registriesconf.Encode(kinds.Merge(sets, nil).Rules)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"s.com": "10-a, 20-b", "*.u.com": "20-b", "v.com/x": `"by me"`}
	if got := registriesconf.Blockers(text); !maps.Equal(got, want) {
		t.Errorf("got  %q\nwant %q\n%s", got, want, text)
	}
	if got := registriesconf.Blockers([]byte("# blocked by x\nlocation\n# blocked by\nlocation = \"s.com\"\n")); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}
