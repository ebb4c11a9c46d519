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

// Stage is where the latest change of the rules is.
type Stage string

// The stages (docs/reference/semantics.md, section 4b).
const (
	// Steady: all nodes are to have what the sets say.
	Steady Stage = "Steady"
	// Canary: canaries try it.
	Canary Stage = "Canary"
	// Halted: a canary failed with it.
	Halted Stage = "Halted"
	// NoCanaries: it waits for a node to be a canary.
	NoCanaries Stage = "NoCanaries"
	// Paused: somebody has the manager publish nothing else.
	Paused Stage = "Paused"
	// RolledBack: somebody has all nodes go back to an earlier payload.
	RolledBack Stage = "RolledBack"
)

// Stages is how changes go to canaries first.
type Stages struct {
	// Soak is how long all canaries have to have a change in force before all nodes get it.
	Soak time.Duration
	// Canaries are the nodes that try it, in the order of their names.
	Canaries []Trier
}

// Trier is a canary, and where it is with what is published for canaries.
type Trier struct {
	Node string
	// Passed says that it has the change in force, and its trial passed.
	Passed bool
	// Failure is what failed there; empty for nothing.
	Failure string
	// Refusal is why its agent says that it cannot follow; empty for nothing. That may have been said of what was published before.
	Refusal string
	// Waiting is what it has yet to do, where it has neither passed nor failed.
	Waiting string
}

// Trying is how far canaries are with what they try, as this manager has seen it.
type Trying struct {
	// Revision is that of what they try.
	Revision int64
	// Passed says that all have passed.
	Passed bool
	// Since is from when on they have all passed, or not all.
	Since time.Time
	// Refused is from when on an agent says that it cannot follow; zero while none does.
	Refused time.Time
}

const (
	// patience is how long canaries have at least to get a change in force.
	patience = time.Minute
	// heard is how long an agent that says it cannot follow has to take that back, because it may have said so before it saw the change.
	heard = 5 * time.Second
)

// maxNamed bounds how many canaries a message names.
const maxNamed = 5

// next is what nodes are to have.
type next struct {
	stage  Stage
	why    string           // all nodes are not to have what the sets say; empty where they are
	all    *payload.Payload // nil where there is nothing that could stay as it is
	canary *payload.Canary
	halted *payload.Halt
	trying Trying
	again  time.Duration

	fromSets bool // what all nodes or canaries get is taken from the sets as they are
	promoted bool // all nodes get what canaries have
	left     bool // nodes are canaries no more
	urgent   bool // it does not wait for other changes
}

// next tells what nodes are to have, and how far canaries are (C1 to C8). Distrust is why the sets are not believed; empty where they are.
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

// undone has all nodes go back to an earlier payload (C6).
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

// staged has canaries try what the sets say, while all nodes keep what they have, and then has all nodes get it (C1 to C4).
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

// judge has the change go on or halt by where the canaries are (C2 and C3).
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

// soak has all nodes get the change once the canaries have had it for long enough.
func (s Seen) soak(n *next) {
	until := n.trying.Since.Add(s.Stages.Soak)
	if n.again = until.Sub(s.Now); n.again <= 0 {
		*n = next{stage: Steady, all: &n.canary.Payload, fromSets: true, promoted: true, urgent: true}
		return
	}
	n.canary.Until = metav1.Time{Time: until.Truncate(time.Second)}
	n.why = fmt.Sprintf("in force on %s; all other nodes get the change at %s", canaries(n.canary.Nodes), until.UTC().Format(time.RFC3339))
}

// halt takes the change back from the canaries, and remembers why.
func (s Seen) halt(n *next, node, why string) {
	halted := &payload.Halt{Revision: n.canary.Revision, Digest: n.canary.Digest, Node: node, Why: payload.Brief(why), At: metav1.Time{Time: s.Now.Truncate(time.Second)}}
	*n = next{stage: Halted, all: n.all, halted: halted, why: haltedBy(*halted), fromSets: true, urgent: true}
}

// haltedBy says why a change is not tried again, and what to do.
func haltedBy(h payload.Halt) string {
	return fmt.Sprintf("canary %s failed with this change: %s. The canaries go back to the rules that all other nodes have. Change the set; or remove the cause, then run: kubectl mirrors rollout resume", h.Node, strings.TrimSuffix(h.Why, "."))
}

// said says who gave an order, when and why.
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

// canaries names some nodes.
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
