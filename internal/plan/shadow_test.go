// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"maps"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
)

// V4: what is watched goes with the rules that it was made with, whichever nodes get.
func TestWhatIsWatchedGoesWithItsRules(t *testing.T) {
	before, after := map[string]string{"t.com": "a"}, map[string]string{"u.com": "b"}
	record := payload.New(published1-10, noRules)
	record.Shadow = map[string]string{"v.com": "c"}
	// watching has nodes watch something, and the sets say something else, by the same text or another one.
	watching := func(s *plan.Seen) {
		s.Published.Payload.Shadow, s.Shadow = before, after
		if s.Published.Canary != nil {
			s.Published.Canary.Shadow = before
		}
	}
	same := func(s *plan.Seen) { s.Text, s.Published.Canary = rules, nil }
	for name, c := range map[string]struct {
		change      func(*plan.Seen, *plan.History)
		all, canary map[string]string
		revision    int64 // 0 for any
	}{
		"other sources by the same rules":       {func(s *plan.Seen, _ *plan.History) { s.Stages = nil; same(s) }, after, nil, published1},
		"none any more by the same rules":       {func(s *plan.Seen, _ *plan.History) { s.Stages = nil; same(s); s.Shadow = nil }, nil, nil, published1},
		"the same rules where there are stages": {func(s *plan.Seen, _ *plan.History) { same(s) }, after, nil, published1},
		"other rules":                           {func(s *plan.Seen, _ *plan.History) { s.Stages = nil }, after, nil, 0},
		"canaries try other rules":              {func(*plan.Seen, *plan.History) {}, before, after, published1},
		"canaries enforce":                      {func(s *plan.Seen, _ *plan.History) { s.Shadow = nil }, before, nil, published1},
		"all get what canaries have":            {func(_ *plan.Seen, h *plan.History) { h.Trying.Since = now.Add(-soak) }, after, nil, published1 + 1},
		"a canary failed":                       {func(s *plan.Seen, _ *plan.History) { s.Stages.Canaries[0].Failure = "x" }, before, nil, 0},
		"no canaries":                           {func(s *plan.Seen, _ *plan.History) { s.Stages.Canaries = nil }, before, nil, 0},
		"paused":                                {func(s *plan.Seen, _ *plan.History) { s.Published.Rollout.Paused = &payload.Order{} }, before, before, published1},
		"paused, with the same rules":           {func(s *plan.Seen, _ *plan.History) { same(s); s.Published.Rollout.Paused = &payload.Order{} }, after, nil, published1},
		"undone": {func(s *plan.Seen, _ *plan.History) {
			s.Undone, s.Published.Rollout.Undone = &record, &payload.Undo{Revision: record.Revision}
		}, record.Shadow, nil, 0},
		"the ConfigMap is lost": {func(s *plan.Seen, _ *plan.History) {
			s.Published, s.Last, s.Text = plan.Published{}, &record, rules
		}, record.Shadow, after, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := staged()
			watching(&s)
			c.change(&s, &h)
			d, _ := plan.Decide(s, h)
			var canary map[string]string
			if d.Canary != nil {
				canary = d.Canary.Shadow
			}
			if d.Do != plan.Publish || !maps.Equal(d.Payload.Shadow, c.all) || !maps.Equal(canary, c.canary) || c.revision != 0 && d.Payload.Revision != c.revision {
				t.Errorf("action %d, revision %d: all nodes watch %v, canaries %v; want %v, %v, revision %d", d.Do, d.Payload.Revision, d.Payload.Shadow, canary, c.all, c.canary, c.revision)
			}
		})
	}
}

// A change of what is watched alone waits like any other, so that a storm of annotations is one step for nodes.
func TestWhatIsWatchedChangesWithTheSets(t *testing.T) {
	s := seen()
	s.SetsDigest, s.Shadow = "sets-2", map[string]string{"s.com": "a"}
	d, _ := plan.Decide(s, plan.History{Revision: published1, Changed: now.Add(-300 * time.Millisecond)})
	if d.Do != plan.Wait || d.Again != 700*time.Millisecond {
		t.Errorf("action %d, again after %s", d.Do, d.Again)
	}
	if d, _ = plan.Decide(s, plan.History{Revision: published1}); d.Do != plan.Publish || d.Payload.Shadow["s.com"] != "a" || d.Payload.Sets != "sets-2" || d.Payload.Revision != published1 {
		t.Errorf("%+v", d)
	}
}
