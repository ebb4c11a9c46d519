// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// Hold is what keeps the sets, as they are now, from all nodes.
type Hold struct {
	// Reason is the one that sets give for it in their condition Applied.
	Reason string `json:"reason"`
	// Why says it in half a sentence.
	Why string `json:"why"`
	// Remedy is what to do; empty where it is enough to wait.
	Remedy string `json:"remedy,omitempty"`
	// Doubtful is a condition that needs a person, if it is current. It may be from before the latest change of a set, because only the
	// statuses of sets, or content that the manager is about to replace, show it.
	Doubtful bool `json:"-"`
}

// Waits reports whether it ends without anybody doing something.
func (h *Hold) Waits() bool {
	return h.Remedy == ""
}

// Hold returns nil once all nodes should have the sets as they are.
func (p *Publication) Hold(sets []kinds.Set) *Hold {
	said := kinds.DigestOf(sets)
	undone := p.Undone
	switch {
	case undone != nil && (p.Digest != undone.Digest || p.Sets != said):
		return p.undone()
	case p.Sets == "":
		return &Hold{Reason: configv1.ReasonProgressing, Why: "the published revision does not name its sets, because an older manager or an unfinished uninstall wrote it"}
	case p.Sets == said && p.Canary == nil && p.CanaryDamage == nil:
		return nil
	case p.Paused != nil:
		return &Hold{Reason: configv1.ReasonPaused, Why: SayPause(p.Paused), Remedy: "To continue: " + p.RolloutCommand("resume")}
	case p.CanaryDamage != nil:
		return &Hold{Reason: configv1.ReasonProgressing, Why: output.Harmless(p.CanaryDamage.Error())}
	case p.Canary != nil:
		return &Hold{Reason: configv1.ReasonCanaryProgressing, Why: p.sayCanaries()}
	case p.Halted != nil && haveBeenSeen(sets):
		return &Hold{Reason: configv1.ReasonCanaryFailed, Why: SayHalt(p.Halted), Doubtful: !isOf(p.Halted.Digest, sets),
			Remedy: "Fix the sets; or, to try the same change again: " + p.RolloutCommand("resume")}
	}
	return holdOfSets(sets)
}

// undone is for what all nodes went back to. Until that is published, they are about to go back, unless the history has lost it.
func (p *Publication) undone() *Hold {
	resume := "resume"
	if p.Paused != nil {
		resume += " --all"
	}
	h := &Hold{Reason: configv1.ReasonRolledBack, Why: SayUndo(p.Undone), Remedy: "Fix the sets, then: " + p.RolloutCommand(resume)}
	if p.Digest != p.Undone.Digest {
		h.Why, h.Doubtful = fmt.Sprintf("rollback to revision %d%s was requested; nodes keep revision %d until the manager publishes it", p.Undone.Revision, sayOrder(&p.Undone.Order), p.Revision), true
	}
	return h
}

// holdOfSets takes the word of the sets for what stands nowhere else.
func holdOfSets(sets []kinds.Set) *Hold {
	if applied := says(sets, configv1.ReasonNoCanaries); applied != nil {
		return &Hold{Reason: applied.Reason, Why: "a change goes to canaries first, and no node is a canary", Doubtful: true,
			Remedy: "Label a node so that it matches the manager's --canary-selector: kubectl label node NODE KEY=VALUE"}
	}
	if applied := says(sets, configv1.ReasonNotPublished); applied != nil {
		return &Hold{Reason: applied.Reason, Why: output.Harmless(applied.Message)}
	}
	return &Hold{Reason: configv1.ReasonProgressing, Why: "the manager has not yet published the latest change or deletion of a set"}
}

// says returns the condition of a set that gives this reason for its present generation.
func says(sets []kinds.Set, reason string) *metav1.Condition {
	for i := range sets {
		status := sets[i].Status
		if applied := meta.FindStatusCondition(status.Conditions, configv1.ConditionApplied); applied != nil && applied.Reason == reason && status.ObservedGeneration == sets[i].GetGeneration() {
			return applied
		}
	}
	return nil
}

// haveBeenSeen reports whether the manager has looked at all sets as they are. Where no set has a status, as with OpenShift's CRD, it is taken for
// granted.
func haveBeenSeen(sets []kinds.Set) bool {
	return !slices.ContainsFunc(sets, func(s kinds.Set) bool {
		return s.Status.ObservedGeneration != 0 && s.Status.ObservedGeneration != s.GetGeneration()
	})
}

// isOf reports whether a text with this digest is what the sets say. It does not know what scopes the manager was told are insecure, and says
// no where these make a difference.
func isOf(digest string, sets []kinds.Set) bool {
	text, err := registriesconf.Encode(kinds.Merge(sets, nil).Rules)
	return err == nil && payload.New(1, text).Digest == digest
}

func (p *Publication) sayCanaries() string {
	text := fmt.Sprintf("%s revision %d first", output.Plural(len(p.Canary.Nodes), "canary tries", "canaries try"), p.Canary.Revision)
	if !p.Canary.Until.IsZero() {
		text += "; all nodes get it at " + Clock(p.Canary.Until) + " if no canary reports trouble"
	}
	return text
}

// SayHalt says what made a change halt.
func SayHalt(h *payload.Halt) string {
	text := fmt.Sprintf("canary %s failed with revision %d", h.Node, h.Revision)
	if !h.At.IsZero() {
		text += " at " + Clock(h.At)
	}
	text += ", so the other nodes do not get it"
	if h.Why != "" {
		text += " (" + h.Why + ")"
	}
	return text
}

// SayPause says who paused.
func SayPause(o *payload.Order) string {
	return "paused" + sayOrder(o)
}

// SayUndo says who undid what.
func SayUndo(u *payload.Undo) string {
	return fmt.Sprintf("rolled back to revision %d%s", u.Revision, sayOrder(&u.Order))
}

// sayOrder says who gave an order, when and why, as far as that is known.
func sayOrder(o *payload.Order) (text string) {
	if o.By != "" {
		text += " by " + o.By
	}
	if !o.At.IsZero() {
		text += " at " + Clock(o.At)
	}
	if o.Why != "" {
		text += " (" + o.Why + ")"
	}
	return text
}

// Clock writes a time as people compare it across machines.
func Clock(t metav1.Time) string {
	return t.UTC().Format(time.RFC3339)
}

// WarnOfHold says what it means for an answer by the sets that not all nodes get them yet, where that will stay so for a while. A user
// with the right to read sets may not have the right to read the ConfigMap, and gets the answer without it.
func (c *Cluster) WarnOfHold(ctx context.Context, sets []kinds.Set, stderr io.Writer) {
	p, err := c.Published(ctx)
	if err != nil {
		return
	}
	if h := p.Hold(sets); h != nil && h.Reason != configv1.ReasonProgressing {
		text := "warning: NotOnAllNodes: this answer is by the sets as they are now, and not all nodes get them yet: " + h.Why
		if h.Remedy != "" {
			text += ". " + h.Remedy
		}
		fmt.Fprintln(stderr, text)
	}
}
