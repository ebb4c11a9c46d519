// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package finds remembers at which mirrors tags of a repository were found (T10 of docs/reference/semantics.md). containerd resolves a tag at one host, and then
// fetches by digest, beginning with the first host again. Without this, a mirror for tags alone would never be asked for what its tag names. The digest
// itself is not known here: a mirror that wants credentials answers containerd, and not the redirector.
package finds

import (
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

// The bounds of what is remembered of tags.
const (
	// pulling is how long a repository may go without a request before a pull of it is over. A layer goes from the mirror straight to
	// containerd, and may take hours, before the next one is asked for.
	pulling = 24 * time.Hour
	// most bounds the repositories that are remembered.
	most = 4096
)

// Memory remembers finds, by repository.
type Memory struct {
	mu           sync.Mutex
	byRepository map[string]find
}

type find struct {
	mirrors []route.Target
	until   time.Time
}

// New returns a memory of nothing.
func New() *Memory {
	return &Memory{byRepository: make(map[string]find)}
}

// Note takes note of a mirror that containerd was sent to for a tag of a repository.
func (m *Memory) Note(repository string, mirror route.Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	known, ok := m.byRepository[repository]
	if !ok && len(m.byRepository) >= most {
		m.forget(now)
	}
	if !ok || now.After(known.until) {
		known = find{}
	}
	for _, found := range known.mirrors {
		if found == mirror {
			m.byRepository[repository] = find{known.mirrors, now.Add(pulling)}
			return
		}
	}
	// A new slice: who asked for the old one may still read it.
	m.byRepository[repository] = find{append(known.mirrors[:len(known.mirrors):len(known.mirrors)], mirror), now.Add(pulling)}
}

// Of returns the mirrors that tags of a repository were found at, and keeps them for as long as it is asked for.
func (m *Memory) Of(repository string) []route.Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	known, ok := m.byRepository[repository]
	switch {
	case !ok:
		return nil
	case now.After(known.until):
		delete(m.byRepository, repository)
		return nil
	}
	known.until = now.Add(pulling)
	m.byRepository[repository] = known
	return known.mirrors
}

// forget makes room: it forgets what is over, or else the repository that has not been asked for the longest.
func (m *Memory) forget(now time.Time) {
	oldest, at := "", time.Time{}
	for repository, known := range m.byRepository {
		if now.After(known.until) {
			delete(m.byRepository, repository)
		} else if oldest == "" || known.until.Before(at) {
			oldest, at = repository, known.until
		}
	}
	if len(m.byRepository) >= most {
		delete(m.byRepository, oldest)
	}
}
