// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

// Result is what a request came to. There are few and no others, so that they can be counted whatever is asked for.
type Result string

// The results.
const (
	// Redirected: containerd was sent to a mirror.
	Redirected Result = "redirected"
	// Streamed: a mirror, or an insecure source, was streamed.
	Streamed Result = "streamed"
	// ToSource: containerd was sent to the source.
	ToSource Result = "to_source"
	// PassedOver: the mirror did not have it, so containerd goes on to the next one.
	PassedOver Result = "passed_over"
	// NoMirror: there is nothing at that rank or entry, so containerd goes on to the next one.
	NoMirror Result = "no_mirror"
	// Refused: the source is blocked.
	Refused Result = "refused"
	// Failed: an insecure source did not have it, a stream broke off, or the rules are not known yet.
	Failed Result = "failed"
	// BadRequest: it was not what containerd asks for.
	BadRequest Result = "bad_request"
)

// Results returns all of them.
func Results() []Result {
	return []Result{Redirected, Streamed, ToSource, PassedOver, NoMirror, Refused, Failed, BadRequest}
}
