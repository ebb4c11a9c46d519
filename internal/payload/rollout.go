// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload

import (
	"encoding/json"
	"strings"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The annotations of the ConfigMap by which people steer what is published, and the manager remembers what it must not try again
// (docs/reference/semantics.md C3 to C6). Each holds JSON.
const (
	// PausedAnnotation holds an [Order]. People write it; while it is there, nothing else is published.
	PausedAnnotation = "mirrorset.io/paused"
	// UndoneAnnotation holds an [Undo]. People write it; while it is there, all nodes have an earlier payload.
	UndoneAnnotation = "mirrorset.io/undone"
	// HaltedAnnotation holds a [Halt]. The manager writes it; what it names is not tried again while it is there.
	HaltedAnnotation = "mirrorset.io/halted"
)

// Order says who told the manager to do something else than what the sets say.
type Order struct {
	// By is the name of the user; empty where it is not known.
	By string `json:"by,omitempty"`
	// At is when; zero where that is not known.
	At metav1.Time `json:"at,omitzero"`
	// Why is what that user gave as the reason; it may be empty.
	Why string `json:"why,omitempty"`
}

// Undo is an order to publish an earlier payload.
type Undo struct {
	Order
	// Revision is the one that it had when the order was given, and Digest that of its text, by which it is found.
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
}

// Halt says why a change did not get beyond the canaries.
type Halt struct {
	// Revision and Digest are those of the payload that the canaries tried.
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
	// Node is the canary that failed.
	Node string `json:"node"`
	// Why is what failed there.
	Why string `json:"why"`
	// At is when, by the manager's clock.
	At metav1.Time `json:"at"`
}

// Rollout is what the annotations say; nil is for what does not stand there.
type Rollout struct {
	Paused *Order
	Undone *Undo
	Halted *Halt
}

// ReadRollout reads the annotations of a ConfigMap. An order that cannot be read counts as one to pause, with its text as the reason:
// somebody wants the manager to stop. A halt that cannot be read counts as none, so that the change is tried again. Texts are made safe to
// print, because whoever may annotate the ConfigMap wrote them.
func ReadRollout(annotations map[string]string) Rollout {
	var r Rollout
	if text, ok := annotations[PausedAnnotation]; ok {
		r.Paused = &Order{}
		if json.Unmarshal([]byte(text), r.Paused) != nil {
			r.Paused = &Order{Why: text}
		}
	}
	if text, ok := annotations[UndoneAnnotation]; ok {
		r.Undone = &Undo{}
		switch {
		case json.Unmarshal([]byte(text), r.Undone) == nil && r.Undone.Digest != "":
			r.Undone.clean()
		case r.Paused == nil:
			r.Paused = &Order{Why: UndoneAnnotation + " cannot be read: " + text}
			fallthrough
		default:
			r.Undone = nil
		}
	}
	if text, ok := annotations[HaltedAnnotation]; ok {
		r.Halted = &Halt{}
		if json.Unmarshal([]byte(text), r.Halted) != nil {
			r.Halted = nil
		} else {
			r.Halted.Node, r.Halted.Why = Brief(r.Halted.Node), Brief(r.Halted.Why)
		}
	}
	if r.Paused != nil {
		r.Paused.clean()
	}
	return r
}

func (o *Order) clean() {
	o.By, o.Why = Brief(o.By), Brief(o.Why)
}

// maxBrief bounds a text that others wrote, in bytes.
const maxBrief = 1000

// Brief has a text that others wrote fit on one line of a message: without what does not print, and cut where it is long.
func Brief(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if len(text) <= maxBrief {
		return text
	}
	return strings.ToValidUTF8(text[:maxBrief], "") + "..."
}

// Annotations returns what [ReadRollout] reads, which people and the manager write each for themselves.
func (r Rollout) Annotations() map[string]string {
	all := make(map[string]string)
	put := func(key string, value any, there bool) {
		if text, err := json.Marshal(value); err == nil && there {
			all[key] = string(text)
		}
	}
	put(PausedAnnotation, r.Paused, r.Paused != nil)
	put(UndoneAnnotation, r.Undone, r.Undone != nil)
	put(HaltedAnnotation, r.Halted, r.Halted != nil)
	return all
}
