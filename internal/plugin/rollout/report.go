// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// report is how far the sets, as they are now, are on their way to the nodes. Its JSON is a promise: fields may be added.
type report struct {
	// Done says that all nodes have them in force.
	Done bool `json:"done"`
	// Reason is the one that sets give for it in their condition Applied.
	Reason string `json:"reason"`
	// Message says it in a sentence or two.
	Message string `json:"message"`
	// Remedy is what a person has to do; absent where it is enough to wait.
	Remedy string `json:"remedy,omitempty"`
	// Published is what nodes should have in force, unless they are canaries. InForce of Total nodes have what they should have.
	Published *cluster.Published `json:"published,omitempty"`
	Canaries  *cluster.Canaries  `json:"canaries,omitempty"`
	InForce   int                `json:"inForce"`
	Total     int                `json:"total"`
	// Paused, Undone and Halted are what people and the manager wrote to steer it.
	Paused *payload.Order `json:"paused,omitempty"`
	Undone *payload.Undo  `json:"undone,omitempty"`
	Halted *payload.Halt  `json:"halted,omitempty"`

	hold     *cluster.Hold
	doubtful bool // it may be from before the latest change
	moving   bool // nodes still follow
}

// err is the error of a state that does not end by waiting.
func (r *report) err() error {
	if r.Remedy == "" {
		return nil
	}
	why := r.Message
	if r.hold != nil {
		why = "the sets are not in force on all nodes as they are now: " + r.hold.Why
	}
	return errors.New(why + ". " + r.Remedy)
}

// assess tells how far it is.
func assess(s cluster.State) report {
	f := s.Fleet()
	r := report{Published: f.Published, Canaries: f.Canaries, InForce: f.InForce, Total: f.Total, hold: s.Hold()}
	if s.Published != nil {
		r.Paused, r.Undone, r.Halted = s.Published.Paused, s.Published.Undone, s.Published.Halted
	}
	switch {
	case r.hold == nil && f.Done():
		r.Done, r.Reason = true, configv1.ReasonAppliedOnAllNodes
		r.Message = "The sets are in force on all nodes as they are now: " + f.String()
		r.Message += sayOrders(&r)
	case r.hold == nil:
		r.Reason, r.Message = reasonOf(&f), f.String()+troubles(&f, false)
	case r.hold.Reason == configv1.ReasonCanaryProgressing:
		r.Reason, r.Message = r.hold.Reason, sayStage(&f)+troubles(&f, true)
	default:
		r.Reason, r.Remedy, r.doubtful = r.hold.Reason, r.hold.Remedy, r.hold.Doubtful
		r.Message = upper(r.hold.Why) + "."
		if r.Reason == configv1.ReasonRolledBack {
			r.Message += " " + f.String() + troubles(&f, false)
			r.moving = !r.doubtful && slices.ContainsFunc(f.Nodes, isOnItsWay)
		}
	}
	return r
}

// sayOrders says whose orders have the next change wait, where none keeps anything back at present.
func sayOrders(r *report) string {
	var orders []string
	if r.Undone != nil {
		orders = append(orders, cluster.SayUndo(r.Undone))
	}
	if r.Paused != nil {
		orders = append(orders, cluster.SayPause(r.Paused))
	}
	if len(orders) == 0 {
		return ""
	}
	return " The next change must wait: " + strings.Join(orders, ", and ") + "."
}

// reasonOf says why not all nodes have what is published.
func reasonOf(f *cluster.Fleet) string {
	switch {
	case f.Total == 0:
		return configv1.ReasonNoNodes
	case slices.ContainsFunc(f.Nodes, func(n cluster.Node) bool { return n.Standing == standing.Failing }):
		return configv1.ReasonNodesFailing
	}
	return configv1.ReasonProgressing
}

func isOnItsWay(n cluster.Node) bool {
	return n.Standing == standing.Behind || n.Standing == standing.Ahead
}

// sayStage says how far canaries are with what they try.
func sayStage(f *cluster.Fleet) string {
	c := f.Canaries
	text := fmt.Sprintf("%s revision %d: ", upper(output.Plural(len(c.Nodes), "canary tries", "canaries try")), c.Revision)
	switch have := fmt.Sprintf("%d of %d %s it in force", c.InForce, len(c.Nodes), has(len(c.Nodes))); {
	case c.InForce < len(c.Nodes):
		return text + have + "."
	case c.Until == nil:
		return text + have + ", and the test requests for images are still running."
	}
	return text + fmt.Sprintf("all nodes get it at %s if no canary reports trouble.", cluster.Clock(*c.Until))
}

func has(count int) string {
	if count == 1 {
		return "has"
	}
	return "have"
}

// mostTroubles is how many nodes are named in a line.
const mostTroubles = 3

// troubles names the first nodes that do not follow by themselves, or the first canaries.
func troubles(f *cluster.Fleet, canaries bool) string {
	var named []string
	for _, n := range f.Nodes {
		if n.Canary != canaries && canaries || n.Standing != standing.Failing && n.Standing != standing.Silent {
			continue
		}
		why, _, _ := strings.Cut(n.Message, "\n")
		named = append(named, output.Harmless(n.Name)+": "+payload.Brief(why))
	}
	if len(named) == 0 {
		return ""
	}
	return " " + output.FirstOf(named, mostTroubles)
}

// upper begins a sentence.
func upper(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
