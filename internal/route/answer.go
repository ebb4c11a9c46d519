// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package route

// Answer is the result of a request to a [Target] for a manifest.
type Answer struct {
	Found Found
	// Why is for people, on one line; empty if the target has the manifest.
	Why string
}

// Found is the finding about a manifest at a place.
type Found int

// The possible findings.
const (
	// Fails: unknown, because the registry could not be contacted, or does not work.
	Fails Found = iota
	// Lacks: it is not there.
	Lacks
	// Has: it is there.
	Has
	// Silent: the registry did not answer in time.
	Silent
	// Refuses: the registry, or its token server, answered 401 or 403. A runtime may have more for a source than this process: the pull secret of a
	// Pod, and an authority of its own. So a source whose certificate is not trusted also counts as refusing.
	Refuses
	// Blocked: the registry was not contacted, or not completely, because the rules forbid contact with it or with a place that it leads to.
	Blocked
)
