// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan decides what the manager does with the text that it made from all sets: publish it, wait a moment, or hold what is
// published. Each decision depends on the state at one moment. The package reads no clock and writes nothing.
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
	// betweenChanges is the minimum time between two changes of what is published, so that a storm of changes reaches the nodes in few
	// steps. A single change is published immediately.
	betweenChanges = time.Second
	// sourceReplaced is how long a new CRD must exist before the manager believes that its sets say less than the published rules, which
	// came from another CRD. It leaves time to restore the sets.
	sourceReplaced = 10 * time.Minute
	// setsSettled is how long no new set may have arrived before the present sets count.
	setsSettled = time.Minute
	// setsAwaited is when the present sets count in any case, because somebody may continue to create sets forever.
	setsAwaited = time.Hour
	// sourceAway is how often to look for a CRD that is missing or being deleted, in addition to the events.
	sourceAway = time.Second
	// overtakes is the minimum time before the same text is published again because nodes report something newer.
	overtakes = time.Minute
)

// Source is the CRD that sets of one kind are listed from.
type Source struct {
	// Kind is that of the sets.
	Kind string
	// UID tells a CRD from another one of its name.
	UID string
	// UID distinguishes a CRD from another one with the same name.
	Created time.Time
	// Established says that the API server serves the sets.
	Established bool
	// Leaving means that the CRD is being deleted, together with its sets.
	Leaving bool
	// Sets is the number of sets.
	Sets int
	// Since is when this manager first saw this CRD, and Came is when it last saw a set arrive. Both are by the manager's own clock,
	// because decisions based on them must not depend on the agreement of two clocks.
	Since, Came time.Time
}

// Believable returns the source of a list of sets, or nil where the list is not plausible. Nobody deleted the sets that are missing because
// their CRD is being deleted, or is not back yet. The source was read before and after the list, because its deletion begins before the
// deletion of the sets. It is nil if it was missing.
func Believable(before, after *Source) *Source {
	serves := func(s *Source) bool { return s != nil && s.Established && !s.Leaving }
	if serves(before) && serves(after) && before.UID == after.UID {
		return after
	}
	return nil
}

// Seen is everything that a decision depends on, at one moment.
type Seen struct {
	// Now is that moment.
	Now time.Time
	// Sources are the CRDs of the sets, one per kind.
	Sources []Source
	// Missing is a kind of set whose list is not plausible, or empty. If it is not empty, nothing else is known.
	Missing string
	// SetsDigest identifies all sets (see [kinds.DigestOf]).
	SetsDigest string
	// Stages configures how changes go to canaries first. It is nil where every change goes to all nodes at the same time.
	Stages *Stages
	// Undone is the record that an undo names. Last is the latest record, where what is published is missing or damaged. Each is nil if
	// there is none.
	Undone, Last *payload.Payload
	// Rules are merged from the sets. Text is their registries.conf, and Format is the format that it needs.
	Rules  []mirrors.Rule
	Text   []byte
	Format int
	// Blockers name the sets that block sources, and Shadow those in shadow mode that watch some (see [payload.Payload]).
	Blockers map[string]string
	Shadow   map[string]string
	// Published is the content of the ConfigMap.
	Published Published
	// Nodes are the reports of the nodes.
	Nodes []InForce
}

// Published is the ConfigMap in the API server.
type Published struct {
	// Exists means that there is a ConfigMap.
	Exists bool
	// Payload is its payload, or nil where that is not complete.
	Payload *payload.Payload
	// Canary is its payload for canaries, or nil where that is missing or not complete.
	Canary *payload.Canary
	// Rollout is the content of its annotations.
	Rollout payload.Rollout
	// Sources are the UIDs of the CRDs that the published sets came from, by kind. A kind without sets may be missing.
	Sources map[string]string
}

// InForce is what one node reports.
type InForce struct {
	Node     string
	Revision int64
	Digest   string
}

// AheadOf reports whether a node has a later revision in force than the published one, or other content under the same revision. The node
// would not return to an older revision.
func (f InForce) AheadOf(revision int64, digest string) bool {
	return f.Revision > revision || f.Revision == revision && f.Digest != digest
}

// History is what this manager did earlier. It is empty after a start.
type History struct {
	// Revision is the highest revision that it published for all nodes, and Tried the highest for canaries.
	Revision, Tried int64
	// Changed is when it last began to publish something else.
	Changed time.Time
	// Overtook is when it last began to publish the same text again because of the nodes' reports.
	Overtook time.Time
	// Trying is how far canaries are with the change that they try.
	Trying Trying
}

// Action is the next action.
type Action int

const (
	// Hold leaves what is published as it is, although the content of the sets differs.
	Hold Action = iota
	// Wait leaves it for a moment.
	Wait
	// Publish makes the ConfigMap contain the payloads, if it does not already.
	Publish
)

// Decision is what to do now, and when to decide again.
type Decision struct {
	Do Action
	// Stage is where the latest change is.
	Stage Stage
	// Why is the reason that nodes should not follow the sets. It is empty where they should.
	Why string
	// Payload is what to publish for all nodes, and Canary what to publish for canaries, or nil for nothing.
	Payload payload.Payload
	Canary  *payload.Canary
	// Halted is the change to remember as failed, or nil if there is none.
	Halted *payload.Halt
	// Again is when to decide again if nothing else happens. It is 0 for never.
	Again time.Duration
}

// Decide returns what to do now, and the new history. The caller that publishes adds the revision to the history.
func Decide(seen Seen, history History) (Decision, History) {
	if seen.Missing != "" {
		history.Trying = Trying{} // nobody watches the canaries
		return Decision{Do: Hold, Why: "the CRD of " + seen.Missing + " is missing, is being deleted or is not served yet", Again: sourceAway}, history
	}
	before := history // an overtaking counts only once it is published
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
		return decision, before // there is no payload to keep
	}
	again := seen.number(next, &history)
	history.Trying = Trying{}
	if next.canary != nil && next.canary.Revision == next.trying.Revision { // otherwise the canaries start again
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
			return Decision{Do: Wait, Stage: next.stage, Again: left}, before // together with changes that arrive in the meantime
		}
		history.Changed = seen.Now
	}
	decision.Do = Publish
	return decision, history
}

// changesTo reports whether nodes have something to follow that is not published yet.
func (p Published) changesTo(next *next) bool {
	if have := p.Payload; have == nil || have.Revision != next.all.Revision || have.Sets != next.all.Sets {
		return true
	}
	return next.canary != nil && (p.Canary == nil || p.Canary.Revision != next.canary.Revision)
}

// distrust returns how long to wait before the sets may replace what is published, and why. If nothing is published, it is how long to wait
// before they may replace what is in force on nodes. It prevents that a replaced CRD opens every block while its sets are missing or return
// one by one. It is 0 where the sets are believed.
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
		case !hasRules && hasSets: // of another kind, which does not have to wait
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

// returned is until when more sets of a replaced CRD may return, where some have returned already. Its text stays the same while they
// return, because the status of every set shows it.
func (s Source) returned() (until time.Time, why string) {
	why = "the CRD of " + s.Kind + " was replaced, and the sets of some published rules have not come back yet; "
	until = s.Since.Add(sourceReplaced)
	if settled, end := s.Came.Add(setsSettled), s.Since.Add(setsAwaited); settled.After(until) {
		return slices.MinFunc([]time.Time{settled, end}, time.Time.Compare), why + "sets are still arriving, and the manager waits for them until " + end.UTC().Format(time.RFC3339) + " at most"
	}
	return until, why + "the manager waits for the remaining sets until " + until.UTC().Format(time.RFC3339)
}

// keepsPublished reports whether the rules keep everything that is published.
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

// replaced reports whether published sets came from a CRD other than this one.
func (p Published) replaced(by Source) bool {
	uid, known := p.Sources[by.Kind]
	return known && uid != by.UID
}

// isEmpty reports whether the published rules are known to be empty.
func (p Published) isEmpty() bool {
	return p.Payload != nil && string(p.Payload.Text) == registriesconf.Header
}
