// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

// The times for silent mirrors.
const (
	// again is how soon a mirror that did not answer is tried again, while requests bypass it.
	again = 5 * time.Second
	// forgotten is how long a mirror that did not answer is passed over without waiting for it.
	forgotten = 10 * time.Minute
)

// silence is a registry or a repository that does not answer.
type silence struct {
	tried  time.Time
	trying bool
}

// silences are the registries and repositories that did not answer lately. The redirector does not wait for them.
type silences struct {
	// answers reports if a registry answers at all.
	answers func(host string) bool

	mu       sync.Mutex
	silent   map[string]*silence // by registry, and by repository of one that is not known to be silent as a whole
	checking map[string]bool     // registries that are being asked whether they answer at all
}

// isSilent reports if a mirror did not answer lately. From time to time, it tries such a mirror again in the background.
func (s *silences) isSilent(mirror route.Target, answers func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	host := s.again(mirror.Host, func() bool { return s.answers(mirror.Host) })
	return s.again(name(mirror), answers) || host
}

// again reports if a registry or a repository is silent, and tries it again if it is time. The caller holds the lock.
func (s *silences) again(what string, answers func() bool) bool {
	silence := s.silent[what]
	if silence == nil || time.Since(silence.tried) > forgotten {
		return false
	}
	if !silence.trying && time.Since(silence.tried) > again {
		silence.trying = true
		go func() { s.note(what, answers()) }()
	}
	return true
}

// note records if a registry or a repository answers.
func (s *silences) note(what string, answers bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.silent, what)
	if len(s.silent) >= maxVerdicts {
		clear(s.silent)
	}
	if !answers {
		s.silent[what] = &silence{tried: time.Now()}
	}
}

// noteSilent records that a mirror did not answer, and finds out if its registry does not answer at all. Perhaps the registry is only slow to fetch
// this one image from elsewhere.
func (s *silences) noteSilent(mirror route.Target) {
	s.note(name(mirror), false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.checking[mirror.Host] {
		s.checking[mirror.Host] = true
		go func() {
			s.note(mirror.Host, s.answers(mirror.Host))
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.checking, mirror.Host)
		}()
	}
}
