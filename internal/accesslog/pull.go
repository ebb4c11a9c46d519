// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accesslog is the redirector's memory of the pulls that it saw (V1 and V2 of docs/reference/semantics.md). It holds the newest pulls, in
// memory. An agent prints them as JSON, one pull per line, and kubectl mirrors reads this output.
package accesslog

import "time"

// Outcome is the outcome of one try of a mirror, or of a source.
type Outcome string

// The outcomes.
const (
	// Served: the place had it. containerd was sent there, or the redirector streamed it to the end.
	Served Outcome = "served"
	// Missing: it answered 404 or 410.
	Missing Outcome = "missing"
	// Credentials: the redirector would have streamed it, but the place refused the login or required one: it answered 401 or 403, or its token
	// server did.
	Credentials Outcome = "credentials"
	// CameBack: containerd was sent there, and came back for the same object. The mirror refused it, or does not have it: only containerd saw which.
	CameBack Outcome = "came_back"
	// Silent: it did not answer in time.
	Silent Outcome = "silent"
	// WrongContent: its content does not match the digest.
	WrongContent Outcome = "wrong_content"
	// Error: it failed in another way, a stream from it broke off, or containerd came back although the mirror had answered the redirector that it
	// has it.
	Error Outcome = "error"
	// Sent: containerd was sent there, and the redirector does not see the outcome. Nothing more is known of a source that is not streamed.
	Sent Outcome = "sent"
	// Refused: the source is blocked. It was not contacted.
	Refused Outcome = "refused"
)

// MirrorOutcomes returns the outcomes that a try of a mirror can have.
func MirrorOutcomes() []Outcome {
	return []Outcome{Served, Missing, CameBack, Credentials, Silent, WrongContent, Error, Sent}
}

// Pull is one pull, as far as it has progressed.
type Pull struct {
	// ID is larger for each pull that began later, for as long as the agent runs. A pull that is printed again has the same ID.
	ID uint64 `json:"id"`
	// Began and Last are when its first and its last request came.
	Began time.Time `json:"began"`
	Last  time.Time `json:"last"`
	// Image is its name with the tag or digest that containerd resolved. It has neither if the redirector did not see the resolution.
	Image string `json:"image"`
	// Tries are in the order in which each place first had each outcome.
	Tries []Tries `json:"tries,omitempty"`
	// Refusal is the message that refused containerd; empty if it was not refused. RefusedBy are the sets that block the source.
	Refusal   string `json:"refusal,omitempty"`
	RefusedBy string `json:"refusedBy,omitempty"`
	// WouldRefuse are the sets in shadow mode that would have refused the pull (docs/reference/semantics.md V5); empty if there are none.
	WouldRefuse string `json:"wouldRefuse,omitempty"`
}

// Tries are the tries of one place with one outcome.
type Tries struct {
	// Place is the repository that was tried, as HOST/REPOSITORY. Source is true if it is the image's own.
	Place  string `json:"place"`
	Source bool   `json:"source,omitempty"`
	// Outcome is the outcome of this many Requests of containerd.
	Outcome  Outcome `json:"outcome"`
	Requests int     `json:"requests"`
	// Why is for people, on one line; it may be empty. It is the reason of the last try.
	Why string `json:"why,omitempty"`
	// Bytes is how many bytes the redirector streamed, without those that containerd fetched by itself.
	Bytes int64 `json:"bytes,omitempty"`
	// Took is how long these requests kept the redirector busy, in nanoseconds.
	Took time.Duration `json:"took"`
}
