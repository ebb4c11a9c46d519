// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

var (
	now     = time.UnixMilli(1_800_000_000_000)
	old     = &plan.Source{Kind: "D", UID: "crd-1", Created: now.Add(-time.Hour), Established: true, Sets: 1}
	rules   = []byte(registriesconf.Header + "\n[[registry]]\nlocation = \"s.com\"\n")
	more    = []byte(string(rules) + "\n[[registry]]\nlocation = \"t.com\"\nblocked = true\n")
	noRules = []byte(registriesconf.Header)
)

// seen is a cluster at rest: what is published is what its one set says.
func seen() plan.Seen {
	return plan.Seen{Now: now, Sources: []plan.Source{*old}, SetsDigest: "sets-1", Text: rules, Published: published(rules, "sets-1")}
}

const published1 = int64(1_799_999_000_000)

func published(text []byte, sets string) plan.Published {
	p := payload.New(published1, text)
	p.Sets = sets
	return plan.Published{Exists: true, Payload: &p, Sources: map[string]string{"D": "crd-1"}}
}

func TestDecide(t *testing.T) {
	const held = "the CRD of D was replaced and has no sets; the manager waits for them until 2027-01-15T08:07:00Z"
	replaced := plan.Source{Kind: "D", UID: "crd-2", Created: now.Add(-3 * time.Minute), Since: now.Add(-3 * time.Minute), Established: true}
	const back = "the CRD of D was replaced, and the sets of some published rules have not come back yet; "
	// returning has a set that came 20 seconds ago, under a CRD that is by so much older than three minutes.
	returning := func(before, after []byte, older time.Duration) func(*plan.Seen) {
		return func(s *plan.Seen) {
			s.Published, s.Text = published(before, "sets-1"), after
			s.Sources[0] = plan.Source{Kind: "D", UID: "crd-2", Created: now.Add(time.Hour), Since: now.Add(-3*time.Minute - older), Established: true, Sets: 1, Came: now.Add(-20 * time.Second)}
		}
	}
	emptied := func(s *plan.Seen) { s.Sources[0].Sets, s.SetsDigest, s.Text = 0, "none", noRules }
	type want struct {
		do          plan.Action
		why         string
		revision    int64
		provisional bool
		again       time.Duration
	}
	for name, c := range map[string]struct {
		change  func(*plan.Seen)
		history plan.History
		want    want
	}{
		"nothing changed":                        {func(*plan.Seen) {}, plan.History{}, want{do: plan.Publish, revision: published1}},
		"a list that is not plausible":           {func(s *plan.Seen) { s.Missing = "D" }, plan.History{}, want{do: plan.Hold, why: "the CRD of D is missing, is being deleted or is not served yet", again: time.Second}},
		"another text":                           {func(s *plan.Seen) { s.Text = append(rules, "# more\n"...) }, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"nothing is published yet":               {func(s *plan.Seen) { s.Published = plan.Published{} }, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"what is published is damaged":           {func(s *plan.Seen) { s.Published.Payload = nil }, plan.History{Revision: now.UnixMilli()}, want{do: plan.Publish, revision: now.UnixMilli() + 1}},
		"what is published is older than known":  {func(*plan.Seen) {}, plan.History{Revision: published1 + 5}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"the same text of other sets":            {func(s *plan.Seen) { s.SetsDigest = "sets-2" }, plan.History{}, want{do: plan.Publish, revision: published1}},
		"a clock behind what is published":       {func(s *plan.Seen) { s.Text = noRules; s.Published.Payload.Revision = now.UnixMilli() + 7 }, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli() + 8}},
		"a revision that no node can have taken": {func(s *plan.Seen) { s.Published.Payload.Revision = 1 << 60 }, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a second change at once":                {func(s *plan.Seen) { s.Text = noRules }, plan.History{Revision: published1, Changed: now.Add(-300 * time.Millisecond)}, want{do: plan.Wait, again: 700 * time.Millisecond}},
		"other sets at once":                     {func(s *plan.Seen) { s.SetsDigest = "sets-2" }, plan.History{Revision: published1, Changed: now.Add(-300 * time.Millisecond)}, want{do: plan.Wait, again: 700 * time.Millisecond}},
		"a second change after a while":          {func(s *plan.Seen) { s.Text = noRules }, plan.History{Revision: published1, Changed: now.Add(-time.Second)}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"nothing changed at once":                {func(*plan.Seen) {}, plan.History{Revision: published1, Changed: now}, want{do: plan.Publish, revision: published1}},
		"the ConfigMap was deleted at once":      {func(s *plan.Seen) { s.Published = plan.Published{} }, plan.History{Revision: published1, Changed: now}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"the last set was deleted":               {emptied, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a new CRD has sets":                     {func(s *plan.Seen) { s.Sources[0], s.Text = plan.Source{Kind: "D", UID: "crd-2", Sets: 1}, noRules }, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a new CRD, some sets are back":          {returning(more, rules, 0), plan.History{}, want{do: plan.Hold, why: back + "the manager waits for the remaining sets until 2027-01-15T08:07:00Z", again: 7 * time.Minute}},
		"a new CRD, all sets are back":           {returning(more, more, 0), plan.History{}, want{do: plan.Publish, revision: published1}},
		"a new CRD, more sets than before":       {returning(rules, more, 0), plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a new CRD, all but a block is back": {
			returning(more, bytes.Replace(more, []byte("blocked = true\n"), nil, 1), 0),
			plan.History{}, want{do: plan.Hold, why: back + "the manager waits for the remaining sets until 2027-01-15T08:07:00Z", again: 7 * time.Minute},
		},
		"a CRD that was new, sets are still coming":             {returning(more, rules, 30*time.Minute), plan.History{}, want{do: plan.Hold, why: back + "sets are still arriving, and the manager waits for them until 2027-01-15T08:27:00Z at most", again: 40 * time.Second}},
		"a CRD that was new, sets have been coming for an hour": {returning(more, rules, 57*time.Minute), plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a CRD that was new, no sets come any more": {func(s *plan.Seen) {
			returning(more, rules, 30*time.Minute)(s)
			s.Sources[0].Came = now.Add(-time.Minute)
		}, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a new CRD, some sets are back, what is published is damaged": {func(s *plan.Seen) {
			returning(more, rules, 0)(s)
			s.Published.Payload = nil
		}, plan.History{}, want{do: plan.Hold, why: back + "the manager waits for the remaining sets until 2027-01-15T08:07:00Z", again: 7 * time.Minute}},
		"a new CRD, what is published cannot be understood": {returning([]byte("x = 1"), rules, 0), plan.History{}, want{do: plan.Hold, why: back + "the manager waits for the remaining sets until 2027-01-15T08:07:00Z", again: 7 * time.Minute}},
		"a new CRD, some sets are back, nothing is published": {func(s *plan.Seen) {
			returning(more, rules, 0)(s)
			s.Published = plan.Published{}
		}, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a set was deleted": {func(s *plan.Seen) {
			s.Published, s.Sources[0].Created = published(more, "sets-2"), now.Add(-3*time.Minute)
		}, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"some sets of another kind are back, with a new CRD": {func(s *plan.Seen) {
			s.Published = published(more, "sets-2")
			s.Sources = append(s.Sources, plan.Source{Kind: "T", UID: "crd-9", Since: now.Add(-3 * time.Minute), Established: true, Sets: 1, Came: now})
			s.Published.Sources["T"] = "crd-8"
		}, plan.History{}, want{do: plan.Hold, why: "the CRD of T" + strings.TrimPrefix(back, "the CRD of D") + "the manager waits for the remaining sets until 2027-01-15T08:07:00Z", again: 7 * time.Minute}},
		"a new CRD has no sets": {func(s *plan.Seen) { emptied(s); s.Sources[0] = replaced }, plan.History{}, want{do: plan.Hold, why: held, again: 7 * time.Minute}},
		"a new CRD has had no sets for long": {func(s *plan.Seen) {
			emptied(s)
			s.Sources[0] = plan.Source{Kind: "D", UID: "crd-2", Created: now.Add(time.Hour), Since: now.Add(-10 * time.Minute)}
		}, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a new CRD has no sets, and the API server's clock is an hour behind": {func(s *plan.Seen) {
			emptied(s)
			s.Sources[0] = replaced
			s.Sources[0].Created = now.Add(-time.Hour)
		}, plan.History{}, want{do: plan.Hold, why: held, again: 7 * time.Minute}},
		"a new CRD, none published":               {func(s *plan.Seen) { emptied(s); s.Sources[0], s.Published = replaced, plan.Published{} }, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli(), provisional: true, again: 7 * time.Minute}},
		"a new CRD, what is published is damaged": {func(s *plan.Seen) { emptied(s); s.Sources[0], s.Published.Payload = replaced, nil }, plan.History{}, want{do: plan.Hold, why: held, again: 7 * time.Minute}},
		"the same CRD, what is published is damaged": {func(s *plan.Seen) {
			emptied(s)
			s.Sources[0] = plan.Source{Kind: "D", UID: "crd-1", Created: replaced.Created}
			s.Published.Payload = nil
		}, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a new CRD, no rules before": {func(s *plan.Seen) { emptied(s); s.Sources[0], s.Published = replaced, published(noRules, "none") }, plan.History{}, want{do: plan.Publish, revision: published1}},
		"a new CRD, a provisional payload stays so": {func(s *plan.Seen) {
			emptied(s)
			s.Sources[0], s.Published = replaced, published(noRules, "none")
			s.Published.Payload.Provisional = true
		}, plan.History{}, want{do: plan.Publish, revision: published1, provisional: true, again: 7 * time.Minute}},
		"the same young CRD, a provisional payload stays so": {func(s *plan.Seen) {
			emptied(s)
			s.Sources[0] = plan.Source{Kind: "D", UID: "crd-1", Created: replaced.Created}
			s.Published = published(noRules, "none")
			s.Published.Payload.Provisional = true
		}, plan.History{}, want{do: plan.Publish, revision: published1, provisional: true, again: 7 * time.Minute}},
		"the sets of another kind have gone with their CRD": {func(s *plan.Seen) {
			s.Sources = append(s.Sources, plan.Source{Kind: "T", UID: "crd-9", Since: now.Add(-3 * time.Minute), Established: true})
			s.Published.Sources = map[string]string{"D": "crd-1", "T": "crd-8"}
		}, plan.History{}, want{do: plan.Hold, why: "the CRD of T was replaced and has no sets; the manager waits for them until 2027-01-15T08:07:00Z", again: 7 * time.Minute}},
		"the last set of another kind was deleted": {func(s *plan.Seen) {
			s.Sources = append(s.Sources, plan.Source{Kind: "T", UID: "crd-8", Created: now.Add(-3 * time.Minute), Established: true})
			s.Published.Sources = map[string]string{"D": "crd-1", "T": "crd-8"}
		}, plan.History{}, want{do: plan.Publish, revision: published1}},
		"a kind that had no sets has a new CRD": {func(s *plan.Seen) {
			s.Sources = append(s.Sources, plan.Source{Kind: "T", UID: "crd-9", Created: now, Established: true})
		}, plan.History{}, want{do: plan.Publish, revision: published1}},
		"a new kind does not make the first sets wait": {func(s *plan.Seen) {
			s.Sources, s.Published = append(s.Sources, plan.Source{Kind: "T", UID: "crd-9", Created: now, Established: true}), plan.Published{}
		}, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"nor what follows a provisional payload": {func(s *plan.Seen) {
			s.Sources, s.Published = append(s.Sources, plan.Source{Kind: "T", UID: "crd-9", Created: now, Established: true}), published(noRules, "none")
			s.Published.Payload.Provisional = true
		}, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"two new CRDs, the younger one counts": {func(s *plan.Seen) {
			emptied(s)
			s.Sources = []plan.Source{replaced, {Kind: "T", UID: "crd-9", Since: now.Add(-time.Minute), Established: true}}
			s.Published.Sources["T"] = "crd-8"
		}, plan.History{}, want{do: plan.Hold, why: "the CRD of T was replaced and has no sets; the manager waits for them until 2027-01-15T08:09:00Z", again: 9 * time.Minute}},
		"nothing tells where the published sets came from, and there are some": {func(s *plan.Seen) {
			s.Sources = append(s.Sources, plan.Source{Kind: "T", UID: "crd-9", Created: now, Established: true})
			s.Published.Sources = nil
		}, plan.History{}, want{do: plan.Publish, revision: published1}},
		"nothing tells where the published sets came from": {func(s *plan.Seen) {
			emptied(s)
			s.Sources[0] = replaced
			s.Published.Sources = nil
		}, plan.History{}, want{do: plan.Hold, why: held, again: 7 * time.Minute}},
		"nodes that follow": {func(s *plan.Seen) {
			s.Nodes = []plan.InForce{{Revision: published1, Digest: s.Published.Payload.Digest}, {Revision: 1, Digest: "old"}, {}}
		}, plan.History{}, want{do: plan.Publish, revision: published1}},
		"a node ahead": {func(s *plan.Seen) { s.Nodes = []plan.InForce{{Revision: now.UnixMilli() + 500, Digest: "x"}} }, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli() + 501}},
		"a node ahead at another text": {func(s *plan.Seen) {
			s.Text = noRules
			s.Nodes = []plan.InForce{{Revision: now.UnixMilli() + 500, Digest: "x"}}
		}, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli() + 501}},
		"a node with other content": {func(s *plan.Seen) { s.Nodes = []plan.InForce{{Revision: published1, Digest: "x"}} }, plan.History{}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"another manager published what only a node can tell to be real": {func(s *plan.Seen) {
			s.Published.Payload.Revision = 1<<43 + 200*366*24*60*60*1000 + 1
			s.Nodes = []plan.InForce{{Revision: published1, Digest: "x"}, {Revision: 1<<43 + 200*366*24*60*60*1000, Digest: "x"}, {Revision: 1 << 60, Digest: "x"}}
			s.Text = noRules
		}, plan.History{}, want{do: plan.Publish, revision: 1<<43 + 200*366*24*60*60*1000 + 2}},
		"a node with what cannot be":       {func(s *plan.Seen) { s.Nodes = []plan.InForce{{Revision: 1 << 60, Digest: "x"}} }, plan.History{}, want{do: plan.Publish, revision: published1}},
		"a node with what agents believe":  {func(s *plan.Seen) { s.Nodes = []plan.InForce{{Revision: 1 << 43, Digest: "x"}} }, plan.History{}, want{do: plan.Publish, revision: published1}},
		"a node ahead, overtaken just now": {func(s *plan.Seen) { s.Nodes = []plan.InForce{{Revision: published1, Digest: "x"}} }, plan.History{Overtook: now.Add(-20 * time.Second)}, want{do: plan.Publish, revision: published1, again: 40 * time.Second}},
		"a node ahead, overtaken long ago": {func(s *plan.Seen) { s.Nodes = []plan.InForce{{Revision: published1, Digest: "x"}} }, plan.History{Overtook: now.Add(-time.Minute)}, want{do: plan.Publish, revision: now.UnixMilli()}},
		"a node ahead of a new CRD's sets": {func(s *plan.Seen) {
			emptied(s)
			s.Sources[0], s.Published = replaced, published(noRules, "none")
			s.Published.Payload.Provisional = true
			s.Nodes = []plan.InForce{{Revision: published1, Digest: "x"}}
		}, plan.History{Overtook: now.Add(-20 * time.Second)}, want{do: plan.Publish, revision: published1, provisional: true, again: 40 * time.Second}},
		"a node ahead of a CRD's sets that are soon believed": {func(s *plan.Seen) {
			emptied(s)
			s.Sources[0], s.Published = plan.Source{Kind: "D", UID: "crd-2", Created: now.Add(10*time.Second - 10*time.Minute)}, published(noRules, "none")
			s.Published.Payload.Provisional = true
			s.Nodes = []plan.InForce{{Revision: published1, Digest: "x"}}
		}, plan.History{Overtook: now.Add(-20 * time.Second)}, want{do: plan.Publish, revision: published1, provisional: true, again: 10 * time.Second}},
		"a node with other content of a revision far from the clock": {func(s *plan.Seen) {
			s.Published.Payload.Revision = now.Add(48 * time.Hour).UnixMilli()
			s.Nodes = []plan.InForce{{Revision: s.Published.Payload.Revision, Digest: "x"}}
		}, plan.History{}, want{do: plan.Publish, revision: now.Add(48*time.Hour).UnixMilli() + 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := seen()
			c.change(&s)
			s.Rules, _ = registriesconf.Decode(s.Text) // most say nothing by them
			d, _ := plan.Decide(s, c.history)
			got := want{do: d.Do, why: d.Why, again: d.Again}
			if d.Do == plan.Publish {
				got.revision, got.provisional = d.Payload.Revision, d.Payload.Provisional
				if err := d.Payload.Check(); err != nil || string(d.Payload.Text) != string(s.Text) || d.Payload.Sets != s.SetsDigest {
					t.Errorf("payload %+v, error %v", d.Payload, err)
				}
			}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestHistoryRemembersChangesAndOvertaking(t *testing.T) {
	before := plan.History{Revision: published1, Changed: now.Add(-time.Hour), Overtook: now.Add(-2 * time.Hour)}
	soon := before
	soon.Changed = now.Add(-300 * time.Millisecond)
	s := seen()
	s.Nodes = []plan.InForce{{Revision: published1, Digest: "x"}}
	if d, got := plan.Decide(s, soon); d.Do != plan.Wait || got != soon {
		t.Errorf("a node ahead, just after a change: %+v, history %+v", d, got)
	}
	for name, c := range map[string]struct {
		change func(*plan.Seen)
		want   plan.History
	}{
		"nothing changed": {func(*plan.Seen) {}, before},
		"another text":    {func(s *plan.Seen) { s.Text = noRules }, plan.History{Revision: published1, Changed: now, Overtook: before.Overtook}},
		"other sets":      {func(s *plan.Seen) { s.SetsDigest = "sets-2" }, plan.History{Revision: published1, Changed: now, Overtook: before.Overtook}},
		"a node ahead":    {func(s *plan.Seen) { s.Nodes = []plan.InForce{{Revision: published1, Digest: "x"}} }, plan.History{Revision: published1, Changed: now, Overtook: now}},
		"a node ahead at another text": {func(s *plan.Seen) {
			s.Text = noRules
			s.Nodes = []plan.InForce{{Revision: published1, Digest: "x"}}
		}, plan.History{Revision: published1, Changed: now, Overtook: before.Overtook}},
		"held": {func(s *plan.Seen) {
			s.Text = noRules
			s.Sources[0] = plan.Source{Kind: "D", UID: "crd-2", Since: now}
		}, before},
	} {
		s := seen()
		c.change(&s)
		if _, got := plan.Decide(s, before); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestAListIsBelievedWhereItsCRDStays(t *testing.T) {
	serving := func(change func(*plan.Source)) *plan.Source {
		s := *old
		change(&s)
		return &s
	}
	other := serving(func(s *plan.Source) { s.UID = "crd-2" })
	leaving := serving(func(s *plan.Source) { s.Leaving = true })
	young := serving(func(s *plan.Source) { s.Established = false })
	for name, c := range map[string]struct {
		before, after *plan.Source
		want          bool
	}{
		"it stays":                     {old, old, true},
		"there is none":                {nil, nil, false},
		"it is gone afterwards":        {old, nil, false},
		"it came meanwhile":            {nil, old, false},
		"it was replaced meanwhile":    {old, other, false},
		"it is being deleted":          {leaving, leaving, false},
		"its deletion began meanwhile": {old, leaving, false},
		"it is not served yet":         {young, young, false},
		"it was served meanwhile":      {young, old, false},
		"it is not served any more":    {old, young, false},
	} {
		if got := plan.Believable(c.before, c.after); (got != nil) != c.want || got != nil && !reflect.DeepEqual(got, c.after) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// A node that reports whatever it likes: what is published is followed once in a while, and stays near the clock.
func TestANodeThatReportsAnythingIsFollowedOnceInAWhile(t *testing.T) {
	s, history := seen(), plan.History{}
	published := 0
	for second := range 600 {
		s.Now = now.Add(time.Duration(second) * time.Second)
		s.Nodes = []plan.InForce{{Revision: s.Published.Payload.Revision, Digest: "x"}}
		if second%2 == 1 {
			s.Nodes[0].Revision += 1 << 40
		}
		var d plan.Decision
		d, history = plan.Decide(s, history)
		if d.Payload.Revision != s.Published.Payload.Revision {
			published++
			s.Published.Payload, history.Revision = &d.Payload, d.Payload.Revision
		}
	}
	if published < 5 || published > 10 {
		t.Errorf("published %d times in 10 minutes", published)
	}
	if ahead := s.Published.Payload.Revision - now.UnixMilli(); ahead > 601_000 {
		t.Errorf("the revision is %d ms ahead of the clock", ahead)
	}
}

func TestARevisionDoesNotFollowReportsBeyondADayOfTheClock(t *testing.T) {
	s := seen()
	for range 1000 {
		s.Nodes = []plan.InForce{{Revision: max(now.Add(24*time.Hour).UnixMilli(), s.Published.Payload.Revision), Digest: "x"}}
		d, _ := plan.Decide(s, plan.History{Revision: s.Published.Payload.Revision})
		s.Published.Payload = &d.Payload
	}
	if limit := now.Add(24*time.Hour).UnixMilli() + 1001; s.Published.Payload.Revision > limit {
		t.Errorf("got %d, at most %d", s.Published.Payload.Revision, limit)
	}
}
