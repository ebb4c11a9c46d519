// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package accesslog is what a redirector remembers of the pulls that it saw (V1 and V2 of docs/reference/semantics.md): the newest ones, in memory. An agent
// prints them as JSON, one pull a line, and kubectl mirrors reads that.
package accesslog

import "time"

// Outcome is what one try of a mirror, or of a source, came to.
type Outcome string

// The outcomes.
const (
	// Served: the place had it. containerd was sent there, or the redirector streamed it to the end.
	Served Outcome = "served"
	// Missing: it answered 404 or 410.
	Missing Outcome = "missing"
	// Credentials: it was to be streamed, and refused the login or wanted one: it answered 401 or 403, or its token server did.
	Credentials Outcome = "credentials"
	// CameBack: containerd was sent there, and came back for the same object. The mirror refused it, or does not have it: only containerd saw which.
	CameBack Outcome = "came_back"
	// Silent: it did not answer in time.
	Silent Outcome = "silent"
	// WrongContent: what it has is not what the digest says.
	WrongContent Outcome = "wrong_content"
	// Error: it failed otherwise, a stream from it broke off, or containerd came back although the mirror had answered the redirector that it has it.
	Error Outcome = "error"
	// Sent: containerd was sent there, and the redirector cannot tell what came of it. That is all that is known of a source that is not streamed.
	Sent Outcome = "sent"
	// Refused: the source is blocked. It was not asked.
	Refused Outcome = "refused"
)

// MirrorOutcomes returns those that a try of a mirror can have.
func MirrorOutcomes() []Outcome {
	return []Outcome{Served, Missing, CameBack, Credentials, Silent, WrongContent, Error, Sent}
}

// Pull is one pull, as far as it has come.
type Pull struct {
	// ID is larger for each pull that began later, for as long as the agent runs. A pull that is printed again has the same.
	ID uint64 `json:"id"`
	// Began and Last are when its first and its last request came.
	Began time.Time `json:"began"`
	Last  time.Time `json:"last"`
	// Image is its name with the tag or digest that containerd resolved; without either where the redirector did not see that.
	Image string `json:"image"`
	// Tries are in the order in which each place first came to each outcome.
	Tries []Tries `json:"tries,omitempty"`
	// Refusal is the message that containerd was refused with; empty where it was not. RefusedBy are the sets that block the source.
	Refusal   string `json:"refusal,omitempty"`
	RefusedBy string `json:"refusedBy,omitempty"`
	// WouldRefuse are the sets in shadow mode by which the pull would have been refused (docs/reference/semantics.md V5); empty where there are none.
	WouldRefuse string `json:"wouldRefuse,omitempty"`
}

// Tries are those of one place with one outcome.
type Tries struct {
	// Place is the repository that was tried, as HOST/REPOSITORY, and Source says that it is the image's own.
	Place  string `json:"place"`
	Source bool   `json:"source,omitempty"`
	// Outcome is what Requests of containerd came to.
	Outcome  Outcome `json:"outcome"`
	Requests int     `json:"requests"`
	// Why is for people, on one line; empty where there is nothing to say. It is that of the last try.
	Why string `json:"why,omitempty"`
	// Bytes were streamed by the redirector. What containerd fetched by itself is not among them.
	Bytes int64 `json:"bytes,omitempty"`
	// Took is how long these requests kept the redirector, in nanoseconds.
	Took time.Duration `json:"took"`
}
