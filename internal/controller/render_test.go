// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
)

func TestWhatIsWatchedIsPublishedUnlessItIsTooMuch(t *testing.T) { // V4
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, "a: registry-%d.example.com -> m.com [Never]\n", i)
	}
	for name, c := range map[string]struct {
		sets string
		want map[string]string
	}{
		"nothing":         {"b: s.com -> m.com [Never]", nil},
		"a source of two": {"a: s.com -> m.com [Never]\nT a: s.com -> m.com [Never]\nb: t.com -> m.com [Never]", map[string]string{"s.com": "a, itms/a"}},
		"too many":        {many.String(), nil},
	} {
		sets, err := mirrorstest.Parse(c.sets)
		if err != nil {
			t.Fatal(err)
		}
		mirrorstest.Enforce(sets, "a", "shadow")
		result := kinds.Merge(sets, nil)
		if got := shadowOf(&result); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSetsAreToldWhatNodesWatch(t *testing.T) { // V6
	s := Snapshot{Shadow: map[string]string{"a.com": "a"}}
	if p := s.forSets(); !maps.Equal(p.Watched, s.Shadow) || p.CanaryWatched != nil {
		t.Errorf("got %v and %v", p.Watched, p.CanaryWatched)
	}
	s.Canary = &payload.Canary{Payload: payload.Payload{Shadow: map[string]string{"b.com": "b"}}}
	if p := s.forSets(); !maps.Equal(p.Watched, s.Shadow) || !maps.Equal(p.CanaryWatched, s.Canary.Shadow) {
		t.Errorf("beside canaries: got %v and %v", p.Watched, p.CanaryWatched)
	}
}
