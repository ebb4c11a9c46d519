// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

// The times of what is silent.
const (
	// again is how soon a mirror that did not answer is tried again, while requests go past it.
	again = 5 * time.Second
	// forgotten is how long a mirror that did not answer is passed over without anybody waiting for it.
	forgotten = 10 * time.Minute
)

// silence is what does not answer.
type silence struct {
	tried  time.Time
	trying bool
}

// silences are the registries and repositories that did not answer lately, and so are not waited for.
type silences struct {
	// answers reports whether a registry answers anything at all.
	answers func(host string) bool

	mu       sync.Mutex
	silent   map[string]*silence // by registry, and by repository of one that is not known to be silent as a whole
	checking map[string]bool     // registries that are being asked whether they answer at all
}

// isSilent reports whether a mirror did not answer lately. It has such a one tried again behind the scenes, from time to time.
func (s *silences) isSilent(mirror route.Target, answers func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	host := s.again(mirror.Host, func() bool { return s.answers(mirror.Host) })
	return s.again(name(mirror), answers) || host
}

// again reports whether one is silent, and tries it again if it is time. The lock is held.
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

// note keeps whether a registry or a repository answers.
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

// noteSilent keeps that a mirror did not answer, and finds out whether that goes for all of its registry: there may be just
// one image that it is slow to fetch from elsewhere.
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
