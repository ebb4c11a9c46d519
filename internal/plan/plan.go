// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan decides what the manager does with the text that it made of all sets: publish it, wait a moment, or hold what is
// published. It decides on what was seen at one moment, reads no clock and writes nothing.
package plan

import (
	"slices"
	"time"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/compare"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

const (
	// betweenChanges is how long what is published stays at the least, so that a storm of changes reaches the nodes in few steps. A
	// change by itself is published at once.
	betweenChanges = time.Second
	// sourceReplaced is how long another CRD than the one that the published rules came from must have been there before it is believed that
	// its sets say less. It leaves time to bring them back.
	sourceReplaced = 10 * time.Minute
	// setsSettled is how long no set may have arrived before those that are there count.
	setsSettled = time.Minute
	// setsAwaited is when they count in any case: somebody may go on to create sets for ever.
	setsAwaited = time.Hour
	// sourceAway is how often to look for a CRD that is missing or on its way out, besides the events.
	sourceAway = time.Second
	// overtakes is how often, at the most, the same text is published again because nodes report something newer.
	overtakes = time.Minute
)

// Source is the CRD that sets of one kind are listed from.
type Source struct {
	// Kind is that of the sets.
	Kind string
	// UID tells a CRD from another one of its name.
	UID string
	// Created is when the API server created it.
	Created time.Time
	// Established says that the API server serves the sets.
	Established bool
	// Leaving says that the CRD is being deleted, and its sets with it.
	Leaving bool
	// Sets is how many there are.
	Sets int
	// Since is from when on this manager has seen this very CRD, and Came is when it saw the last set come. No clock but its own counts for
	// them, because what is decided by them must not depend on whether two clocks agree.
	Since, Came time.Time
}

// Believable returns the source of a list of sets; nil where the list is not plausible: sets that are missing because their CRD is
// going away, or not yet back, were not deleted by anyone. The source was seen before and after the list, because its deletion begins
// before that of the sets; nil stands for one that is missing.
func Believable(before, after *Source) *Source {
	serves := func(s *Source) bool { return s != nil && s.Established && !s.Leaving }
	if serves(before) && serves(after) && before.UID == after.UID {
		return after
	}
	return nil
}

// Seen is all that a decision depends on, as it was at one moment.
type Seen struct {
	// Now is when that was.
	Now time.Time
	// Sources are where the sets are from, one a kind.
	Sources []Source
	// Missing is a kind of set whose list is not plausible; empty where there is none. Nothing else is known then.
	Missing string
	// SetsDigest names all sets (see [kinds.DigestOf]).
	SetsDigest string
	// Stages are for changes that go to canaries first; nil where every change goes to all nodes at once.
	Stages *Stages
	// Undone is the record that an undo names, and Last the latest one, where what is published is missing or damaged; nil for none.
	Undone, Last *payload.Payload
	// Rules are what the sets were merged to, Text is what that is as a registries.conf, and Format the one that it needs.
	Rules  []mirrors.Rule
	Text   []byte
	Format int
	// Blockers name the sets that block sources, and Shadow those in shadow mode that watch some (see [payload.Payload]).
	Blockers map[string]string
	Shadow   map[string]string
	// Published is what the ConfigMap says.
	Published Published
	// Nodes is what nodes report.
	Nodes []InForce
}

// Published is the ConfigMap as the API server has it.
type Published struct {
	// Exists says that there is a ConfigMap.
	Exists bool
	// Payload is what it says; nil where that is not complete.
	Payload *payload.Payload
	// Canary is what it has for canaries; nil where that is nothing, or not complete.
	Canary *payload.Canary
	// Rollout is what its annotations say.
	Rollout payload.Rollout
	// Sources are the UIDs of the CRDs that the published sets came from, by kind. A kind of which there were no sets may be missing.
	Sources map[string]string
}

// InForce is what one node reports.
type InForce struct {
	Node     string
	Revision int64
	Digest   string
}

// AheadOf tells whether a node has in force what is newer than what is published, or other content under the same revision. It would
// never give that up for an older revision.
func (f InForce) AheadOf(revision int64, digest string) bool {
	return f.Revision > revision || f.Revision == revision && f.Digest != digest
}

// History is what this manager did before. That of one which has just started is empty.
type History struct {
	// Revision is the highest that it published for all nodes, and Tried the highest for canaries.
	Revision, Tried int64
	// Changed is when it last set out to publish something else.
	Changed time.Time
	// Overtook is when it last set out to publish the same text again because of what nodes report.
	Overtook time.Time
	// Trying is how far canaries are with what they try.
	Trying Trying
}

// Action is what to do now.
type Action int

const (
	// Hold leaves what is published as it is, although the sets say something else.
	Hold Action = iota
	// Wait leaves it for a moment.
	Wait
	// Publish has the ConfigMap say what the payloads say, if it does not.
	Publish
)

// Decision is what to do, and when to decide again.
type Decision struct {
	Do Action
	// Stage is where the latest change is.
	Stage Stage
	// Why is the reason that nodes are not to have what the sets say; empty where they are.
	Why string
	// Payload is what to publish for all nodes, and Canary what for canaries; nil for nothing.
	Payload payload.Payload
	Canary  *payload.Canary
	// Halted is what to remember as not to be tried again; nil for nothing.
	Halted *payload.Halt
	// Again is after how long to decide again where nothing else happens; 0 for never.
	Again time.Duration
}

// Decide returns what to do now, and the history with it, which leaves the revision to the one who publishes it.
func Decide(seen Seen, history History) (Decision, History) {
	if seen.Missing != "" {
		history.Trying = Trying{} // nobody looks at canaries
		return Decision{Do: Hold, Why: "the CRD of " + seen.Missing + " is missing, is being deleted or is not served yet", Again: sourceAway}, history
	}
	before := history // an overtaking counts where it is published
	if !seen.isPlausible(history) {
		seen.Published.Canary = nil // no node has taken it
	}
	wait, why := seen.distrust()
	next := seen.next(history.Trying, why)
	if wait > 0 && next.fromSets && seen.Published.Exists && !seen.Published.isEmpty() {
		before.Trying = Trying{}
		return Decision{Do: Hold, Stage: Steady, Why: why, Again: wait}, before
	}
	decision := Decision{Stage: next.stage, Why: next.why, Halted: next.halted, Again: next.again}
	if next.all == nil {
		return decision, before // there is nothing that could stay
	}
	again := seen.number(next, &history)
	history.Trying = Trying{}
	if next.canary != nil && next.canary.Revision == next.trying.Revision { // else they begin anew
		history.Trying = next.trying
	}
	decision.Payload, decision.Canary = *next.all, next.canary
	for _, other := range []time.Duration{again, wait} {
		if other > 0 && (decision.Again == 0 || other < decision.Again) {
			decision.Again = other
		}
	}
	if seen.Published.changesTo(next) {
		if left := history.Changed.Add(betweenChanges).Sub(seen.Now); left > 0 && seen.Published.Payload != nil && !next.urgent {
			return Decision{Do: Wait, Stage: next.stage, Again: left}, before // with what comes meanwhile
		}
		history.Changed = seen.Now
	}
	decision.Do = Publish
	return decision, history
}

// changesTo tells whether nodes have something to follow that is not published yet.
func (p Published) changesTo(next *next) bool {
	if have := p.Payload; have == nil || have.Revision != next.all.Revision || have.Sets != next.all.Sets {
		return true
	}
	return next.canary != nil && (p.Canary == nil || p.Canary.Revision != next.canary.Revision)
}

// distrust is how long to wait before the sets may replace what is published, or what nodes may have in force where nothing is
// published, and why: a CRD that was replaced must not open every block while its sets are away, nor while they come back one by one. It
// is 0 where the sets are believed.
func (s Seen) distrust() (longest time.Duration, why string) {
	if s.Published.isEmpty() && !s.Published.Payload.Provisional {
		return 0, ""
	}
	hasRules, hasSets := s.Published.Exists && !s.Published.isEmpty(), slices.ContainsFunc(s.Sources, Source.hasSets)
	for _, source := range s.Sources {
		switch {
		case source.hasSets() && (!hasRules || !s.Published.replaced(source) || s.keepsPublished()):
		case source.hasSets():
			if until, back := source.returned(); until.Sub(s.Now) > longest {
				longest, why = until.Sub(s.Now), back
			}
		case hasRules && !s.Published.replaced(source) && (len(s.Published.Sources) > 0 || hasSets):
		case !hasRules && hasSets: // of another kind, which are not to wait
		default:
			since := source.Since
			if !hasRules {
				since = source.Created
			}
			if until := since.Add(sourceReplaced); until.Sub(s.Now) > longest {
				longest, why = until.Sub(s.Now), "the CRD of "+source.Kind+" was replaced and has no sets; the manager waits for them until "+until.UTC().Format(time.RFC3339)
			}
		}
	}
	return longest, why
}

// returned is until when sets of a CRD that was replaced may come back, where some have. What it says does not change with each of them, as
// it stands in the status of all.
func (s Source) returned() (until time.Time, why string) {
	why = "the CRD of " + s.Kind + " was replaced, and the sets of some published rules have not come back yet; "
	until = s.Since.Add(sourceReplaced)
	if settled, end := s.Came.Add(setsSettled), s.Since.Add(setsAwaited); settled.After(until) {
		return slices.MinFunc([]time.Time{settled, end}, time.Time.Compare), why + "sets are still arriving, and the manager waits for them until " + end.UTC().Format(time.RFC3339) + " at most"
	}
	return until, why + "the manager waits for the remaining sets until " + until.UTC().Format(time.RFC3339)
}

// keepsPublished reports whether the rules take nothing away that is published.
func (s Seen) keepsPublished() bool {
	if s.Published.Payload == nil {
		return false
	}
	before, err := registriesconf.Decode(s.Published.Payload.Text)
	if err != nil {
		return false
	}
	return compare.Keeps(s.Rules, before)
}

func (s Source) hasSets() bool { return s.Sets > 0 }

// replaced tells whether published sets came from another CRD than this one.
func (p Published) replaced(by Source) bool {
	uid, known := p.Sources[by.Kind]
	return known && uid != by.UID
}

// isEmpty tells whether what is published is known to have no rules.
func (p Published) isEmpty() bool {
	return p.Payload != nil && string(p.Payload.Text) == registriesconf.Header
}
