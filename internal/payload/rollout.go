// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload

import (
	"encoding/json"
	"strings"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The annotations of the ConfigMap that control what is published. People write the first two, and the manager uses the third to remember
// what it must not try again (docs/reference/semantics.md C3 to C6). Each holds JSON.
const (
	// PausedAnnotation holds an [Order]. People write it. While it is present, the manager publishes nothing new.
	PausedAnnotation = "mirrorset.io/paused"
	// UndoneAnnotation holds an [Undo]. People write it. While it is present, all nodes have an earlier payload.
	UndoneAnnotation = "mirrorset.io/undone"
	// HaltedAnnotation holds a [Halt]. The manager writes it. While it is present, the manager does not try that change again.
	HaltedAnnotation = "mirrorset.io/halted"
)

// Order records who told the manager to publish something other than the content of the sets.
type Order struct {
	// By is the name of the user; empty where it is not known.
	By string `json:"by,omitempty"`
	// At is when; zero where that is not known.
	At metav1.Time `json:"at,omitzero"`
	// Why is the reason that the user gave. It may be empty.
	Why string `json:"why,omitempty"`
}

// Undo is an order to publish an earlier payload.
type Undo struct {
	Order
	// Revision is the revision that the earlier payload had when the order was given. Digest is the digest of its text, which the manager
	// finds it by.
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
}

// Halt records why a change did not get beyond the canaries.
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

// Rollout is the content of these annotations. A field is nil if its annotation is missing.
type Rollout struct {
	Paused *Order
	Undone *Undo
	Halted *Halt
}

// ReadRollout parses the annotations of a ConfigMap. An order that cannot be parsed counts as an order to pause, with its text as the
// reason: somebody wants the manager to stop. A halt that cannot be parsed is ignored, so that the change is tried again. ReadRollout makes
// texts safe to print, because anyone who may annotate the ConfigMap can write them.
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

// maxBrief bounds a text from outside, in bytes.
const maxBrief = 1000

// Brief makes a text from outside fit on one line of a message: it removes unprintable characters, and cuts the text if it is long.
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

// Annotations returns the annotations that [ReadRollout] parses. People and the manager each write only their own.
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
