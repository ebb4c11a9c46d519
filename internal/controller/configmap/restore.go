// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package configmap

import (
	"time"
)

const (
	// firstRestore is how soon after one restoration there may be another.
	firstRestore = time.Second
	// longestRestore bounds that where somebody keeps changing the ConfigMap.
	longestRestore = time.Minute
	// restoresCalm is how long without a restoration resets the wait.
	restoresCalm = 10 * time.Minute
)

// restores limits how often the manager writes again what it wrote before. It does so because somebody else changed the ConfigMap
// meanwhile, and no agent accepts it in that state. The first time is immediate, and later times are less and less frequent. Two writers
// that keep overwriting each other then do not keep the API server and every agent busy.
type restores struct {
	wrote string        // the name of the content that was written last
	at    time.Time     // of the last restoration
	wait  time.Duration // before the next one
}

// left is how long a content has to wait; 0 where it is another one than was written last, which is no restoration.
func (r *restores) left(next string, now time.Time) time.Duration {
	if r.wrote != next || now.Sub(r.at) > restoresCalm {
		return 0
	}
	return max(0, r.at.Add(r.wait).Sub(now))
}

// done takes note of a write.
func (r *restores) done(next string, now time.Time) {
	if r.wrote == next {
		if now.Sub(r.at) > restoresCalm {
			r.wait = 0
		}
		r.at, r.wait = now, min(max(firstRestore, 2*r.wait), longestRestore)
	}
	r.wrote = next
}
