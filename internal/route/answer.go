// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package route

// Answer is what came of asking a [Target] whether it has a manifest.
type Answer struct {
	Found Found
	// Why is for people, on one line; empty where it has it.
	Why string
}

// Found is whether a manifest is at a place.
type Found int

// What can come of it.
const (
	// Fails: nothing tells, because the registry could not be asked, or is out of order.
	Fails Found = iota
	// Lacks: it is not there.
	Lacks
	// Has: it is there.
	Has
	// Silent: the registry did not answer in time.
	Silent
	// Refuses: the registry, or its token server, answered 401 or 403. A runtime may know more of a source than is known here: the pull
	// secret of a Pod, and an authority of its own, so that a source whose certificate is not trusted refuses, too.
	Refuses
	// Blocked: the registry was not asked, or not to the end, because it is, or leads, where the rules let nobody go.
	Blocked
)
