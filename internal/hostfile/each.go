// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"sync"
	"sync/atomic"
)

// writers is how many files are processed in parallel. A disk flushes all changes that wait at the same time together; a higher number gains almost
// nothing.
const writers = 16

// Each calls do with each number below n, several in parallel, and returns once all are done.
func Each(n int, do func(i int)) {
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			do(i)
		}
	}
	var others sync.WaitGroup
	for range min(n, writers) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}
