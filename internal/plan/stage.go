// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
)

// Stage is the stage of the latest change of the rules.
type Stage string

// The stages (docs/reference/semantics.md, section 4b).
const (
	// Steady: all nodes should have the content of the sets.
	Steady Stage = "Steady"
	// Canary: canaries try the change.
	Canary Stage = "Canary"
	// Halted: the change failed on a canary.
	Halted Stage = "Halted"
	// NoCanaries: the change waits until a node is a canary.
	NoCanaries Stage = "NoCanaries"
	// Paused: somebody told the manager to publish nothing new.
	Paused Stage = "Paused"
	// RolledBack: somebody told the manager to return all nodes to an earlier payload.
	RolledBack Stage = "RolledBack"
)

// Stages configures how changes go to canaries first.
type Stages struct {
	// Soak is how long a change must be in force on all canaries before all nodes get it.
	Soak time.Duration
	// Canaries are the nodes that try a change, sorted by name.
	Canaries []Trier
}

// Trier is a canary, with its progress on what is published for canaries.
type Trier struct {
	Node string
	// Passed means that the change is in force and that its trial passed.
	Passed bool
	// Failure is what failed there. It is empty if nothing did.
	Failure string
	// Refusal is why its agent reports that it cannot follow, or empty. The report may be about what was published earlier.
	Refusal string
	// Waiting is what it still has to do, if it has neither passed nor failed.
	Waiting string
}

// Trying is the progress of the canaries, as this manager has seen it.
type Trying struct {
	// Revision is the revision that they try.
	Revision int64
	// Passed means that all have passed.
	Passed bool
	// Since is when Passed last changed.
	Since time.Time
	// Refused is since when an agent has reported that it cannot follow. It is zero while none does.
	Refused time.Time
}

const (
	// patience is the minimum time that canaries have to put a change in force.
	patience = time.Minute
	// heard is how long an agent that reports that it cannot follow has to withdraw the report, because it may have sent it before it saw
	// the change.
	heard = 5 * time.Second
)

// maxNamed bounds how many canaries a message names.
const maxNamed = 5

// next is what nodes should have next.
type next struct {
	stage  Stage
	why    string           // why all nodes should not follow the sets; empty where they should
	all    *payload.Payload // nil where there is no payload to keep
	canary *payload.Canary
	halted *payload.Halt
	trying Trying
	again  time.Duration

	fromSets bool // the payload of all nodes or of canaries comes from the current sets
	promoted bool // all nodes get the payload of the canaries
	left     bool // some nodes are no longer canaries
	urgent   bool // it does not wait for other changes
}

// next decides what nodes should have, and how far canaries are (C1 to C8). Distrust is why the sets are not believed; it is empty where
// they are.
func (s Seen) next(trying Trying, distrust string) *next {
	wanted := payload.New(0, s.Text)
	wanted.Sets, wanted.Format, wanted.Blockers, wanted.Shadow = s.SetsDigest, s.Format, s.Blockers, s.Shadow
	base, orders := s.base(), s.Published.Rollout
	same := base != nil && base.Digest == wanted.Digest
	switch {
	case orders.Undone != nil:
		return s.undone(base, wanted)
	case orders.Paused != nil:
		n := &next{stage: Paused, all: base, canary: s.tried(), halted: orders.Halted}
		if same && n.canary == nil {
			wanted.Provisional, n.all = base.Provisional, &wanted
		} else {
			n.why = "paused" + said(*orders.Paused) + "; to continue, run: kubectl mirrors rollout resume"
		}
		return n
	case base == nil && s.Last != nil && !s.haveAlready(wanted.Digest):
		return &next{stage: Steady, why: "the rules that all nodes have are in neither the ConfigMap nor the history, so the nodes keep these rules; to publish the rules of the sets, start the manager without --canary-selector"}
	case s.Stages == nil || base == nil || same:
		wanted.Provisional = distrust != ""
		return &next{stage: Steady, all: &wanted, fromSets: true}
	case distrust != "":
		return &next{stage: Steady, why: distrust, all: base, canary: s.tried(), halted: orders.Halted, fromSets: s.Published.Payload != nil}
	}
	return s.staged(base, wanted, trying)
}

// undone returns all nodes to an earlier payload (C6).
func (s Seen) undone(base *payload.Payload, wanted payload.Payload) *next {
	order := s.Published.Rollout.Undone
	n := &next{stage: RolledBack, halted: s.Published.Rollout.Halted, urgent: true}
	switch {
	case s.Undone == nil:
		n.all, n.canary = base, s.tried()
		n.why = fmt.Sprintf("nodes keep their rules, because revision %d, to which they should go back%s, is not in the history", order.Revision, said(order.Order))
	case s.Undone.Digest == wanted.Digest:
		n.all = &wanted
		return n
	default:
		earlier := *s.Undone
		n.all = &earlier
		n.why = fmt.Sprintf("all nodes went back to revision %d%s", order.Revision, said(order.Order))
	}
	n.why += "; to publish the rules of the sets, run: kubectl mirrors rollout resume"
	return n
}

// staged lets canaries try the content of the sets while all other nodes keep what they have. Then it gives the change to all nodes (C1 to
// C4).
func (s Seen) staged(base *payload.Payload, wanted payload.Payload, trying Trying) *next {
	tried, halted := s.Published.Canary, s.Published.Rollout.Halted
	names := make([]string, 0, len(s.Stages.Canaries))
	for _, c := range s.Stages.Canaries {
		names = append(names, c.Node)
	}
	n := &next{stage: Canary, all: base, fromSets: true}
	switch {
	case len(names) == 0:
		n.stage, n.urgent = NoCanaries, true
		n.why = "the manager sends a change to canaries first, but no node with an agent has the labels of --canary-selector; give a node these labels, then the change goes to that node"
		return n
	case halted != nil && halted.Digest == wanted.Digest && slices.Contains(names, halted.Node):
		n.stage, n.halted, n.why = Halted, halted, haltedBy(*halted)
		return n
	}
	n.canary = &payload.Canary{Payload: wanted, Nodes: names}
	n.left = tried != nil && slices.ContainsFunc(s.Nodes, func(node InForce) bool {
		return tried.Takes(node.Node) && !slices.Contains(names, node.Node) && node.Revision > base.Revision
	})
	if tried == nil || tried.Digest != wanted.Digest || tried.Revision <= base.Revision || n.left {
		n.why = "the change goes to " + canaries(names) + " first"
		return n
	}
	n.canary.Revision = tried.Revision
	if trying.Revision != tried.Revision {
		trying = Trying{Revision: tried.Revision, Since: s.Now}
	}
	s.judge(n, trying)
	return n
}

// judge decides by the progress of the canaries if the change continues or halts (C2 and C3).
func (s Seen) judge(n *next, trying Trying) {
	passed, refusal := 0, time.Duration(0)
	var late, refused *Trier
	for i := range s.Stages.Canaries {
		switch c := &s.Stages.Canaries[i]; {
		case c.Failure != "":
			s.halt(n, c.Node, c.Failure)
			return
		case c.Passed:
			passed++
		case c.Refusal != "" && refused == nil:
			refused = c
			fallthrough
		case late == nil:
			late = c
		}
	}
	if refused == nil {
		trying.Refused = time.Time{}
	} else {
		if trying.Refused.IsZero() {
			trying.Refused = s.Now
		}
		if refusal = trying.Refused.Add(heard).Sub(s.Now); refusal <= 0 {
			s.halt(n, refused.Node, refused.Refusal)
			return
		}
	}
	if all := passed == len(s.Stages.Canaries); all != trying.Passed {
		trying.Passed, trying.Since = all, s.Now
	}
	n.trying = trying
	if trying.Passed {
		s.soak(n)
		return
	}
	allowed := max(s.Stages.Soak, patience)
	why := cmp.Or(late.Waiting, late.Refusal)
	if n.again = trying.Since.Add(allowed).Sub(s.Now); n.again <= 0 {
		text := fmt.Sprintf("it did not finish with the change within %s", allowed)
		if why != "" {
			text += ": " + why
		}
		s.halt(n, late.Node, text)
		return
	}
	if refusal > 0 {
		n.again = min(n.again, refusal)
	}
	n.why = fmt.Sprintf("in force on %d of %d canaries, which get a change before all other nodes; waiting for %s", passed, len(s.Stages.Canaries), late.Node)
	if why != "" {
		n.why += " (" + payload.Brief(why) + ")"
	}
}

// soak gives the change to all nodes once the canaries have had it for long enough.
func (s Seen) soak(n *next) {
	until := n.trying.Since.Add(s.Stages.Soak)
	if n.again = until.Sub(s.Now); n.again <= 0 {
		*n = next{stage: Steady, all: &n.canary.Payload, fromSets: true, promoted: true, urgent: true}
		return
	}
	n.canary.Until = metav1.Time{Time: until.Truncate(time.Second)}
	n.why = fmt.Sprintf("in force on %s; all other nodes get the change at %s", canaries(n.canary.Nodes), until.UTC().Format(time.RFC3339))
}

// halt withdraws the change from the canaries, and remembers why.
func (s Seen) halt(n *next, node, why string) {
	halted := &payload.Halt{Revision: n.canary.Revision, Digest: n.canary.Digest, Node: node, Why: payload.Brief(why), At: metav1.Time{Time: s.Now.Truncate(time.Second)}}
	*n = next{stage: Halted, all: n.all, halted: halted, why: haltedBy(*halted), fromSets: true, urgent: true}
}

// haltedBy describes why a change is not tried again, and what to do.
func haltedBy(h payload.Halt) string {
	return fmt.Sprintf("canary %s failed with this change: %s. The canaries go back to the rules that all other nodes have. Change the set; or remove the cause, then run: kubectl mirrors rollout resume", h.Node, strings.TrimSuffix(h.Why, "."))
}

// said describes who gave an order, when and why.
func said(o payload.Order) string {
	var text strings.Builder
	if o.By != "" {
		text.WriteString(" by " + o.By)
	}
	if !o.At.IsZero() {
		text.WriteString(" at " + o.At.UTC().Format(time.RFC3339))
	}
	if o.Why != "" {
		text.WriteString(" (" + o.Why + ")")
	}
	return text.String()
}

// canaries lists the names of some nodes.
func canaries(names []string) string {
	text := strings.Join(names[:min(len(names), maxNamed)], ", ")
	if more := len(names) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if len(names) == 1 {
		return "canary " + text
	}
	return "canaries " + text
}
