// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
)

const soak = 5 * time.Minute

// staged is a cluster whose sets say more than all nodes have, and in which canaries a and b try it since a while.
func staged() (plan.Seen, plan.History) {
	s := seen()
	s.Text, s.SetsDigest = more, "sets-2"
	s.Stages = &plan.Stages{Soak: soak, Canaries: []plan.Trier{{Node: "a", Passed: true}, {Node: "b", Passed: true}}}
	s.Published.Canary = tried(more, published1+1, "a", "b")
	return s, plan.History{Revision: published1, Tried: published1 + 1, Trying: plan.Trying{Revision: published1 + 1, Passed: true, Since: now.Add(-soak + time.Second)}}
}

func tried(text []byte, revision int64, nodes ...string) *payload.Canary {
	return &payload.Canary{Payload: payload.New(revision, text), Nodes: nodes}
}

func TestAChangeGoesByStages(t *testing.T) {
	ms := now.UnixMilli()
	by := payload.Order{By: "alice", At: metav1.Time{Time: now.Add(-time.Hour)}, Why: "a freeze"}
	record := payload.New(published1-10, noRules)
	for name, c := range map[string]struct {
		change func(*plan.Seen, *plan.History)
		stage  plan.Stage
		why    string // a part of it
		all    int64  // the revision for all nodes
		text   []byte // and their text
		canary int64  // that of canaries; 0 for nothing
		again  time.Duration
	}{
		"canaries soak":            {func(*plan.Seen, *plan.History) {}, plan.Canary, "in force on canaries a, b; all other nodes get the change at 2027-01-15T08:00:01Z", published1, rules, published1 + 1, time.Second},
		"the soak time is over":    {func(_ *plan.Seen, h *plan.History) { h.Trying.Since = now.Add(-soak) }, plan.Steady, "", published1 + 1, more, 0, 0},
		"a manager begins it anew": {func(_ *plan.Seen, h *plan.History) { *h = plan.History{} }, plan.Canary, "all other nodes get the change at 2027-01-15T08:05:00Z", published1, rules, published1 + 1, soak},
		"nothing is tried yet":     {func(s *plan.Seen, _ *plan.History) { s.Published.Canary = nil }, plan.Canary, "the change goes to canaries a, b first", published1, rules, ms, 0},
		"a canary waits":           {func(s *plan.Seen, _ *plan.History) { s.Stages.Canaries[1] = plan.Trier{Node: "b", Waiting: "slow"} }, plan.Canary, "in force on 1 of 2 canaries, which get a change before all other nodes; waiting for b (slow)", published1, rules, published1 + 1, soak},
		"a canary waits too long": {func(s *plan.Seen, h *plan.History) {
			s.Stages.Canaries[0] = plan.Trier{Node: "a"}
			h.Trying.Passed, h.Trying.Since = false, now.Add(-soak)
		}, plan.Halted, "canary a failed with this change: it did not finish with the change within 5m0s", ms, rules, 0, 0},
		"a canary has a minute at least": {func(s *plan.Seen, h *plan.History) {
			s.Stages.Soak = time.Second
			s.Stages.Canaries[0] = plan.Trier{Node: "a"}
			h.Trying.Passed, h.Trying.Since = false, now.Add(-59*time.Second)
		}, plan.Canary, "waiting for a", published1, rules, published1 + 1, time.Second},
		"a canary has said that it cannot follow": {func(s *plan.Seen, _ *plan.History) {
			s.Stages.Canaries[1] = plan.Trier{Node: "b", Refusal: "disk full"}
		}, plan.Canary, "waiting for b (disk full)", published1, rules, published1 + 1, 5 * time.Second},
		"a canary says so for a while": {func(s *plan.Seen, h *plan.History) {
			s.Stages.Canaries[1] = plan.Trier{Node: "b", Refusal: "disk full"}
			h.Trying.Refused = now.Add(-5 * time.Second)
		}, plan.Halted, "canary b failed with this change: disk full", ms, rules, 0, 0},
		"a canary said so before": {func(_ *plan.Seen, h *plan.History) { h.Trying.Refused = now.Add(-time.Hour) }, plan.Canary, "in force on canaries a, b", published1, rules, published1 + 1, time.Second},
		"a canary fails": {func(s *plan.Seen, _ *plan.History) {
			s.Stages.Canaries[1] = plan.Trier{Node: "b", Failure: "no such host."}
		}, plan.Halted, "canary b failed with this change: no such host. The canaries go back", ms, rules, 0, 0},
		"it halted before": {func(s *plan.Seen, _ *plan.History) {
			s.Published.Canary = nil
			s.Published.Rollout.Halted = &payload.Halt{Digest: payload.New(0, more).Digest, Node: "b", Why: "x"}
		}, plan.Halted, "canary b failed with this change: x. ", published1, rules, 0, 0},
		"the canary that failed is none": {func(s *plan.Seen, _ *plan.History) {
			s.Published.Canary = nil
			s.Published.Rollout.Halted = &payload.Halt{Digest: payload.New(0, more).Digest, Node: "c"}
		}, plan.Canary, "the change goes to canaries a, b first", published1, rules, ms, 0},
		"another change halted": {func(s *plan.Seen, _ *plan.History) {
			s.Published.Canary = nil
			s.Published.Rollout.Halted = &payload.Halt{Digest: "x", Node: "b"}
		}, plan.Canary, "the change goes to canaries a, b first", published1, rules, ms, 0},
		"another change comes":     {func(s *plan.Seen, _ *plan.History) { s.Text = append(more[:len(more):len(more)], "# 2\n"...) }, plan.Canary, "the change goes to canaries a, b first", published1, rules, ms, 0},
		"the change is taken back": {func(s *plan.Seen, _ *plan.History) { s.Text = rules }, plan.Steady, "", ms, rules, 0, 0},
		"a canary is none any more": {func(s *plan.Seen, _ *plan.History) {
			s.Stages.Canaries = s.Stages.Canaries[:1]
			s.Nodes = []plan.InForce{{Node: "b", Revision: published1 + 1, Digest: s.Published.Canary.Digest}}
		}, plan.Canary, "the change goes to canary a first", ms, rules, ms + 1, 0},
		"a canary is none any more, and had nothing yet": {func(s *plan.Seen, _ *plan.History) {
			s.Stages.Canaries = s.Stages.Canaries[:1]
			s.Nodes = []plan.InForce{{Node: "b", Revision: published1}}
		}, plan.Canary, "in force on canary a", published1, rules, published1 + 1, time.Second},
		"a canary is gone": {func(s *plan.Seen, _ *plan.History) { s.Stages.Canaries = s.Stages.Canaries[:1] }, plan.Canary, "in force on canary a", published1, rules, published1 + 1, time.Second},
		"what is published is damaged, and canaries had more": {func(s *plan.Seen, _ *plan.History) {
			p := payload.New(published1, rules)
			s.Last, s.Published = &p, plan.Published{}
			s.Nodes = []plan.InForce{{Node: "a", Revision: published1 + 1, Digest: "x"}, {Node: "z", Revision: published1, Digest: p.Digest}}
		}, plan.Canary, "the change goes to canaries a, b first", ms, rules, ms + 1, 0},
		"what is published is damaged, and all nodes have what the sets say": {func(s *plan.Seen, _ *plan.History) {
			p := payload.New(published1-9, rules)
			s.Last, s.Published = &p, plan.Published{}
			s.Nodes = []plan.InForce{{Node: "z", Revision: published1, Digest: payload.New(0, more).Digest}}
		}, plan.Steady, "", ms, more, 0, 0},
		"a canary comes": {func(s *plan.Seen, _ *plan.History) {
			s.Stages.Canaries = append(s.Stages.Canaries, plan.Trier{Node: "c"})
		}, plan.Canary, "in force on 2 of 3 canaries", published1, rules, published1 + 1, soak},
		"the last canary goes":  {func(s *plan.Seen, _ *plan.History) { s.Stages.Canaries = nil }, plan.NoCanaries, "--canary-selector", ms, rules, 0, 0},
		"stages are turned off": {func(s *plan.Seen, _ *plan.History) { s.Stages = nil }, plan.Steady, "", ms, more, 0, 0},
		"paused":                {func(s *plan.Seen, _ *plan.History) { s.Published.Rollout.Paused = &by }, plan.Paused, "paused by alice at 2027-01-15T07:00:00Z (a freeze); to continue, run: kubectl mirrors rollout resume", published1, rules, published1 + 1, 0},
		"paused, and nothing to publish": {func(s *plan.Seen, _ *plan.History) {
			s.Text, s.Published.Canary, s.Published.Rollout.Paused = rules, nil, &by
		}, plan.Paused, "", published1, rules, 0, 0},
		"paused without stages": {func(s *plan.Seen, _ *plan.History) {
			s.Stages, s.Published.Canary, s.Published.Rollout.Paused = nil, nil, &by
		}, plan.Paused, "paused by alice", published1, rules, 0, 0},
		"undone": {func(s *plan.Seen, _ *plan.History) {
			s.Undone, s.Published.Rollout.Undone = &record, &payload.Undo{Order: by, Revision: 7}
		}, plan.RolledBack, "all nodes went back to revision 7 by alice at", ms, noRules, 0, 0},
		"undone and paused": {func(s *plan.Seen, _ *plan.History) {
			s.Undone, s.Published.Rollout = &record, payload.Rollout{Paused: &by, Undone: &payload.Undo{Revision: 7}}
		}, plan.RolledBack, "all nodes went back to revision 7; ", ms, noRules, 0, 0},
		"undone to what nobody knows": {func(s *plan.Seen, _ *plan.History) { s.Published.Rollout.Undone = &payload.Undo{Revision: 7} }, plan.RolledBack, "revision 7, to which they should go back, is not in the history", published1, rules, published1 + 1, 0},
		"undone to what the sets say": {func(s *plan.Seen, _ *plan.History) {
			p := payload.New(5, more)
			s.Undone, s.Published.Rollout.Undone = &p, &payload.Undo{Revision: 5}
		}, plan.RolledBack, "", ms, more, 0, 0},
		"what is published is damaged": {func(s *plan.Seen, _ *plan.History) {
			p := payload.New(published1, rules)
			s.Last, s.Published.Payload, s.Published.Canary = &p, nil, nil
		}, plan.Canary, "the change goes to canaries a, b first", ms, rules, ms + 1, 0},
		"nothing was ever published": {func(s *plan.Seen, _ *plan.History) { s.Published = plan.Published{} }, plan.Steady, "", ms, more, 0, 0},
		"a node is ahead": {func(s *plan.Seen, _ *plan.History) {
			s.Nodes = []plan.InForce{{Node: "z", Revision: published1 + 1, Digest: "x"}}
		}, plan.Canary, "", ms, rules, ms + 1, time.Second},
		"canaries are where they are": {func(s *plan.Seen, _ *plan.History) {
			s.Nodes = []plan.InForce{{Node: "a", Revision: published1 + 1, Digest: s.Published.Canary.Digest}, {Node: "z", Revision: published1, Digest: s.Published.Payload.Digest}}
		}, plan.Canary, "", published1, rules, published1 + 1, time.Second},
		"a canary is ahead": {func(s *plan.Seen, _ *plan.History) {
			s.Nodes = []plan.InForce{{Node: "a", Revision: published1 + 9, Digest: "x"}}
		}, plan.Canary, "", published1, rules, ms, time.Second},
		"canaries have an impossible one":   {func(s *plan.Seen, _ *plan.History) { s.Published.Canary.Revision = 1 << 60 }, plan.Canary, "the change goes to canaries a, b first", published1, rules, ms, 0},
		"canaries have one that is no news": {func(s *plan.Seen, h *plan.History) { s.Published.Canary.Revision = published1 }, plan.Canary, "the change goes to canaries a, b first", published1, rules, ms, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := staged()
			c.change(&s, &h)
			d, _ := plan.Decide(s, h)
			if d.Do != plan.Publish || d.Stage != c.stage || !strings.Contains(d.Why, c.why) || (c.why == "" && c.stage != plan.Canary) != (d.Why == "") {
				t.Errorf("action %d, stage %s, %q; want %s, %q", d.Do, d.Stage, d.Why, c.stage, c.why)
			}
			canary := int64(0)
			if d.Canary != nil {
				canary = d.Canary.Revision
			}
			if d.Payload.Revision != c.all || string(d.Payload.Text) != string(c.text) || canary != c.canary || d.Again != c.again {
				t.Errorf("revision %d, %q, canaries %d, again after %s; want %d, %q, %d, %s", d.Payload.Revision, d.Payload.Text, canary, d.Again, c.all, c.text, c.canary, c.again)
			}
			if (d.Stage == plan.Halted) != (d.Halted != nil) {
				t.Errorf("halted: %+v", d.Halted)
			}
		})
	}
}

func TestStagesKeepWhatTheyMust(t *testing.T) {
	ms := now.UnixMilli()
	halted := &payload.Halt{Digest: payload.New(0, more).Digest, Node: "b", Why: "x"}
	fails := func(s *plan.Seen) { s.Stages.Canaries[1] = plan.Trier{Node: "b", Failure: "x"} }
	empties := func(s *plan.Seen) { s.Sources[0].Sets, s.SetsDigest, s.Text = 0, "none", noRules }
	for name, c := range map[string]struct {
		change func(*plan.Seen, *plan.History)
		want   func(plan.Decision, plan.History) bool
	}{
		"all nodes get a later revision than canaries had, whatever the clock says": {func(s *plan.Seen, _ *plan.History) { fails(s); s.Published.Canary.Revision = ms + 50 }, func(d plan.Decision, _ plan.History) bool {
			return d.Payload.Revision == ms+51
		}},
		"what canaries had is not used again after the ConfigMap was deleted": {func(s *plan.Seen, h *plan.History) { s.Published = plan.Published{}; h.Tried = ms + 60 }, func(d plan.Decision, _ plan.History) bool {
			return d.Payload.Revision == ms+61
		}},
		"canaries get the next change within a second of the last": {func(s *plan.Seen, h *plan.History) { s.Published.Canary = nil; h.Changed = now }, func(d plan.Decision, _ plan.History) bool {
			return d.Do == plan.Wait && d.Again == time.Second
		}},
		"a failure is no change to wait for": {func(s *plan.Seen, h *plan.History) { fails(s); h.Changed = now }, func(d plan.Decision, _ plan.History) bool {
			return d.Do == plan.Publish && d.Stage == plan.Halted
		}},
		"what is provisional stays so while it is paused": {func(s *plan.Seen, _ *plan.History) {
			empties(s)
			s.Published = published(noRules, "none")
			s.Published.Payload.Provisional, s.Published.Rollout.Paused = true, &payload.Order{}
		}, func(d plan.Decision, _ plan.History) bool { return d.Payload.Provisional }},
		"canaries keep what they try while it is paused, although the sets say what all have": {func(s *plan.Seen, _ *plan.History) {
			s.Text, s.Published.Rollout.Paused = rules, &payload.Order{}
		}, func(d plan.Decision, _ plan.History) bool {
			return d.Canary != nil && d.Canary.Revision == published1+1 && d.Payload.Revision == published1 && d.Why != ""
		}},
		"what nodes have had since the last record is not replaced by that": {func(s *plan.Seen, _ *plan.History) {
			p := payload.New(published1-9, noRules)
			s.Last, s.Published = &p, plan.Published{}
			s.Nodes = []plan.InForce{{Node: "z", Revision: published1, Digest: payload.New(0, rules).Digest}}
		}, func(d plan.Decision, _ plan.History) bool {
			return d.Do == plan.Hold && strings.Contains(d.Why, "in neither the ConfigMap nor the history")
		}},
		"what halted is remembered while it is undone": {func(s *plan.Seen, _ *plan.History) {
			p := payload.New(5, noRules)
			s.Undone, s.Published.Rollout = &p, payload.Rollout{Halted: halted, Undone: &payload.Undo{Revision: 5}}
		}, func(d plan.Decision, _ plan.History) bool { return d.Halted == halted }},
		"sets that are not believed are not tried either": {func(s *plan.Seen, _ *plan.History) {
			empties(s)
			s.Sources[0].UID, s.Sources[0].Since = "crd-2", now
			s.Last, s.Published.Payload, s.Published.Canary = s.Published.Payload, nil, nil
		}, func(d plan.Decision, _ plan.History) bool {
			return d.Canary == nil && string(d.Payload.Text) == string(rules) && !d.Payload.Provisional && strings.Contains(d.Why, "was replaced")
		}},
		"the soak time begins anew where the CRD was away": {func(s *plan.Seen, _ *plan.History) { s.Missing = "D" }, func(_ plan.Decision, h plan.History) bool {
			return h.Trying == plan.Trying{}
		}},
		"the soak time begins anew where the sets were not believed": {func(s *plan.Seen, _ *plan.History) {
			empties(s)
			s.Sources[0].UID, s.Sources[0].Since = "crd-2", now
		}, func(d plan.Decision, h plan.History) bool { return d.Do == plan.Hold && h.Trying == plan.Trying{} }},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := staged()
			c.change(&s, &h)
			if d, after := plan.Decide(s, h); !c.want(d, after) {
				t.Errorf("%+v, canary %+v, then %+v", d, d.Canary, after)
			}
		})
	}
}
