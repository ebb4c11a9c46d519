// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// simulation is a fleet whose nodes follow when they like, while the sets, the canaries, the orders and the manager change at random.
type simulation struct {
	*rand.Rand
	t         *testing.T
	at        time.Time
	published plan.Published
	history   plan.History
	records   []payload.Payload // what all nodes were given
	text      string
	canaries  []string
	nodes     map[string]plan.InForce // what each has
	reported  map[string]plan.InForce // what the API server says of that
	passed    map[string]time.Time    // from when on all canaries have had a text, as the manager has seen it
	trace     []string
}

// stored is what etcd has.
type stored struct {
	published plan.Published
	records   []payload.Payload
	text      string
	reported  map[string]plan.InForce
}

// bad is what canaries fail with.
const bad = "\n[[registry]]\nlocation = \"bad.com\"\n"

func textOf(n int) string {
	if n == 0 {
		return registriesconf.Header + bad
	}
	return fmt.Sprintf("%s\n[[registry]]\nlocation = \"r%d.com\"\n", registriesconf.Header, n)
}

func (s *simulation) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
}

// triers are where the canaries are with what is published for them.
func (s *simulation) triers() (all []plan.Trier) {
	c := s.published.Canary
	for _, name := range s.canaries {
		trier := plan.Trier{Node: name}
		if c != nil && c.Takes(name) && s.reported[name].Revision == c.Revision {
			if string(c.Text) == textOf(0) {
				trier.Failure = "it cannot be pulled"
			}
			trier.Passed = trier.Failure == ""
		}
		all = append(all, trier)
	}
	return all
}

// decide is a pass of the manager.
func (s *simulation) decide() {
	seen := plan.Seen{
		Now: s.at, Sources: []plan.Source{{Kind: "D", UID: "crd-1", Created: s.at.Add(-time.Hour), Established: true, Sets: 1}}, SetsDigest: s.text, Text: []byte(s.text),
		Published: s.published, Stages: &plan.Stages{Soak: soak, Canaries: s.triers()}, Nodes: slices.Collect(maps.Values(s.reported)),
	}
	if undone := s.published.Rollout.Undone; undone != nil {
		for i := range s.records {
			if s.records[i].Digest == undone.Digest {
				seen.Undone = &s.records[i]
			}
		}
	}
	if s.published.Payload == nil && len(s.records) > 0 {
		seen.Last = &s.records[len(s.records)-1]
	}
	before := s.published
	d, history := plan.Decide(seen, s.history)
	s.history = history
	s.note("%s: %d, stage %s: %s", s.at.Format(time.TimeOnly), d.Do, d.Stage, d.Why)
	if d.Do != plan.Publish {
		return
	}
	s.check(before, d, seen.Stages.Canaries)
	all := d.Payload
	s.published = plan.Published{Exists: true, Payload: &all, Canary: d.Canary, Rollout: payload.Rollout{Paused: before.Rollout.Paused, Undone: before.Rollout.Undone, Halted: d.Halted}, Sources: map[string]string{"D": "crd-1"}}
	s.history.Revision = all.Revision
	s.note("  published %d %q", all.Revision, tail(all.Text))
	if d.Canary != nil {
		s.history.Tried = max(s.history.Tried, d.Canary.Revision)
		s.note("  canaries %v %d %q", d.Canary.Nodes, d.Canary.Revision, tail(d.Canary.Text))
		if d.Canary.Revision <= all.Revision {
			s.t.Errorf("canaries have revision %d, and all nodes %d", d.Canary.Revision, all.Revision)
		}
	}
	if len(s.records) == 0 || s.records[len(s.records)-1].Digest != all.Digest {
		s.records = append(s.records, all)
	}
	s.records[len(s.records)-1].Revision = all.Revision
}

func tail(text []byte) string { return string(text[max(0, len(text)-20):]) }

// check holds that all nodes get another text only by an undo, or once all canaries have had it for the soak time.
func (s *simulation) check(before plan.Published, d plan.Decision, triers []plan.Trier) {
	text := string(d.Payload.Text)
	switch {
	case before.Payload != nil && string(before.Payload.Text) == text:
	case before.Payload == nil && len(s.records) > 0 && string(s.records[len(s.records)-1].Text) == text:
	case len(s.records) == 0 || before.Rollout.Undone != nil:
	case before.Rollout.Paused != nil:
		s.t.Errorf("all nodes get %q while it is paused", tail(d.Payload.Text))
	case text == textOf(0):
		s.t.Error("all nodes get what canaries fail with")
	case len(triers) == 0 || slices.ContainsFunc(triers, func(c plan.Trier) bool { return !c.Passed }):
		s.t.Errorf("all nodes get %q, and the canaries are at %+v", tail(d.Payload.Text), triers)
	case s.passed[text].IsZero() || s.at.Sub(s.passed[text]) < soak:
		s.t.Errorf("all nodes get %q, which canaries have had since %s", tail(d.Payload.Text), s.passed[text])
	}
}

// watch notes how long canaries have had what they try.
func (s *simulation) watch() {
	triers := s.triers()
	c := s.published.Canary
	for text := range s.passed {
		if c == nil || string(c.Text) != text || slices.ContainsFunc(triers, func(t plan.Trier) bool { return !t.Passed }) {
			delete(s.passed, text)
		}
	}
	if c != nil && len(triers) > 0 && !slices.ContainsFunc(triers, func(t plan.Trier) bool { return !t.Passed }) && s.passed[string(c.Text)].IsZero() {
		s.passed[string(c.Text)] = s.at
	}
}

// follow has a node take what is published for it, as its agent does.
func (s *simulation) follow(name string) {
	p := s.published.Payload
	if s.published.Canary.Takes(name) {
		p = &s.published.Canary.Payload
	}
	if have := s.nodes[name]; p != nil && p.Revision > have.Revision {
		s.nodes[name] = plan.InForce{Node: name, Revision: p.Revision, Digest: p.Digest}
	}
	s.reported[name] = s.nodes[name]
}

// happen has one thing happen.
func (s *simulation) happen(saved *stored) {
	switch s.IntN(14) {
	case 0, 1:
		s.text = textOf(s.IntN(4))
		s.note("the sets say %q", tail([]byte(s.text)))
	case 2:
		all := []string{"a", "b"}
		s.canaries = nil
		for _, name := range all {
			if s.IntN(2) == 0 {
				s.canaries = append(s.canaries, name)
			}
		}
		s.note("canaries are %v", s.canaries)
	case 3:
		s.history = plan.History{}
		clear(s.passed)
		s.note("another manager starts")
	case 4:
		*saved = stored{s.published, slices.Clone(s.records), s.text, maps.Clone(s.reported)}
	case 5:
		if saved.records != nil {
			s.published, s.records, s.text, s.reported = saved.published, slices.Clone(saved.records), saved.text, maps.Clone(saved.reported)
			s.note("etcd is restored")
		}
	case 6:
		s.published.Payload = nil
		s.note("the ConfigMap is damaged")
	case 7:
		s.published = plan.Published{}
		s.note("the ConfigMap is deleted")
	case 8:
		s.published.Rollout.Paused = &payload.Order{}
		s.note("paused")
	case 9:
		s.published.Rollout = payload.Rollout{}
		s.note("resumed")
	case 10:
		if len(s.records) > 0 {
			r := s.records[s.IntN(len(s.records))]
			s.published.Rollout.Undone = &payload.Undo{Revision: r.Revision, Digest: r.Digest}
			s.note("undone to %q", tail(r.Text))
		}
	default:
		s.follow([]string{"a", "b", "c", "d", "e"}[s.IntN(5)])
	}
}

func TestNoNodeGetsWhatCanariesHaveNotTried(t *testing.T) {
	for seed := range uint64(300) {
		s := &simulation{Rand: rand.New(rand.NewPCG(seed, 0)), t: t, at: now, text: textOf(1), canaries: []string{"a"}, nodes: map[string]plan.InForce{}, reported: map[string]plan.InForce{}, passed: map[string]time.Time{}}
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			s.reported[name] = plan.InForce{Node: name}
		}
		var saved stored
		s.decide()
		for range 300 {
			s.at = s.at.Add([]time.Duration{time.Millisecond, time.Second, time.Minute, soak}[s.IntN(4)])
			s.happen(&saved)
			s.watch()
			s.decide()
			s.watch()
		}
		s.settle()
		if t.Failed() {
			for _, line := range s.trace {
				t.Log(line)
			}
			t.Fatalf("seed %d", seed)
		}
	}
}

// settle wants every node to get what the sets say once people leave it alone.
func (s *simulation) settle() {
	s.published.Rollout, s.text, s.canaries = payload.Rollout{}, textOf(3), []string{"b"}
	for range 40 {
		s.at = s.at.Add(time.Minute)
		s.decide()
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			s.follow(name)
		}
		s.watch()
	}
	for name, has := range s.nodes {
		if string(s.published.Payload.Text) != s.text || has.Digest != s.published.Payload.Digest || has.Revision != s.published.Payload.Revision || s.published.Canary != nil {
			s.t.Errorf("node %s has revision %d of %d, canary %v", name, has.Revision, s.published.Payload.Revision, s.published.Canary)
		}
	}
}
