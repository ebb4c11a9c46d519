// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package finds remembers the mirrors that had tags of a repository (T10 of docs/reference/semantics.md). containerd resolves a tag at one host, and
// then fetches by digest, beginning with the first host again. Without this package, a mirror for tags alone would never be contacted for the content
// that its tag names. The digest itself is not known here: a mirror that requires credentials answers containerd, and not the redirector.
package finds

import (
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

// The bounds of the memory of tags.
const (
	// pulling is how long a repository may go without a request before its pull counts as finished. A layer goes straight from the mirror to
	// containerd, and may take hours before containerd requests the next layer.
	pulling = 24 * time.Hour
	// most bounds the repositories in memory.
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

// New returns an empty memory.
func New() *Memory {
	return &Memory{byRepository: make(map[string]find)}
}

// Note records a mirror that containerd was sent to for a tag of a repository.
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
	// A new slice: the caller that has the old one may still read it.
	m.byRepository[repository] = find{append(known.mirrors[:len(known.mirrors):len(known.mirrors)], mirror), now.Add(pulling)}
}

// Of returns the mirrors that had tags of a repository, and keeps them as long as calls for them come.
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

// forget makes room. It forgets finished pulls, or otherwise the repository whose last request is the oldest.
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
