// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

// Result is the result of a request. The set of results is small and fixed, so that they can be counted for any request.
type Result string

// The results.
const (
	// Redirected: containerd was sent to a mirror.
	Redirected Result = "redirected"
	// Streamed: a mirror, or an insecure source, was streamed.
	Streamed Result = "streamed"
	// ToSource: containerd was sent to the source.
	ToSource Result = "to_source"
	// PassedOver: the mirror did not have it, so containerd continues with the next entry.
	PassedOver Result = "passed_over"
	// NoMirror: there is nothing at that rank or entry, so containerd continues with the next entry.
	NoMirror Result = "no_mirror"
	// Refused: the source is blocked.
	Refused Result = "refused"
	// Failed: an insecure source did not have it, a stream broke off, or the rules are not known yet.
	Failed Result = "failed"
	// BadRequest: it was not a request that containerd sends.
	BadRequest Result = "bad_request"
)

// Results returns all of them.
func Results() []Result {
	return []Result{Redirected, Streamed, ToSource, PassedOver, NoMirror, Refused, Failed, BadRequest}
}
