// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// The bounds of what is remembered of tags.
const (
	// pulling is how long a repository may go without a request before a pull of it is over. A layer goes from the mirror straight to
	// containerd, and may take hours, before the next one is asked for.
	pulling = 24 * time.Hour
	// maxFinds bounds the repositories that are remembered.
	maxFinds = 4096
)

// finds remembers at which mirrors tags of a repository were found (T10). containerd resolves a tag at one host, and then fetches
// by digest, beginning with the first host again. Without this, a mirror for tags alone would never be asked for what its tag names. The
// digest itself is not known here: a mirror that wants credentials answers containerd, and not the redirector.
type finds struct {
	mu           sync.Mutex
	byRepository map[string]find
}

type find struct {
	mirrors []route.Target
	until   time.Time
}

func repositoryOf(q question) string {
	return q.host + "/" + q.repository
}

// note takes note of a mirror that containerd was sent to for a tag.
func (f *finds) note(q question, mirror route.Target) {
	if q.mode() != mirrors.ByTag {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	repository, now := repositoryOf(q), time.Now()
	known, ok := f.byRepository[repository]
	if !ok && len(f.byRepository) >= maxFinds {
		f.forget(now)
	}
	if !ok || now.After(known.until) {
		known = find{}
	}
	for _, m := range known.mirrors {
		if m == mirror {
			f.byRepository[repository] = find{known.mirrors, now.Add(pulling)}
			return
		}
	}
	// A new slice: who asked for the old one may still read it.
	f.byRepository[repository] = find{append(known.mirrors[:len(known.mirrors):len(known.mirrors)], mirror), now.Add(pulling)}
}

// of returns the mirrors that tags of the repository of a question were found at, and keeps them for as long as it is asked for.
func (f *finds) of(q question) []route.Target {
	f.mu.Lock()
	defer f.mu.Unlock()
	repository, now := repositoryOf(q), time.Now()
	known, ok := f.byRepository[repository]
	switch {
	case !ok:
		return nil
	case now.After(known.until):
		delete(f.byRepository, repository)
		return nil
	}
	known.until = now.Add(pulling)
	f.byRepository[repository] = known
	return known.mirrors
}

// forget makes room: it forgets what is over, or else the repository that has not been asked for the longest.
func (f *finds) forget(now time.Time) {
	oldest, at := "", time.Time{}
	for repository, known := range f.byRepository {
		if now.After(known.until) {
			delete(f.byRepository, repository)
		} else if oldest == "" || known.until.Before(at) {
			oldest, at = repository, known.until
		}
	}
	if len(f.byRepository) >= maxFinds {
		delete(f.byRepository, oldest)
	}
}
