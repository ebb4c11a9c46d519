// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

// verdict is whether a mirror is worth the way for an image.
type verdict struct {
	ok bool
	// silent says that the mirror did not answer in time, and wrong that it has other content.
	silent, wrong bool
	// why is for people; empty where there is nothing to say.
	why   string
	until time.Time
}

func key(q question, mirror route.Target) string {
	return q.kind + " " + name(mirror) + "@" + q.object
}

// anyBlob stands for all blobs of a repository.
var anyBlob = question{kind: blobs}

// remember keeps a verdict for a moment. Where a manifest is another one, whose the blobs are cannot be told from here.
func (s *scout) remember(q question, mirror route.Target, v verdict) {
	s.rememberFor(fresh, q, mirror, v)
	if v.wrong {
		s.rememberFor(distrusted, anyBlob, mirror, v)
	}
}

func (s *scout) rememberFor(d time.Duration, q question, mirror route.Target, v verdict) {
	v.until = time.Now().Add(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.verdicts) >= maxVerdicts {
		clear(s.verdicts)
	}
	s.verdicts[key(q, mirror)] = v
}

// recall returns what was remembered about a mirror.
func (s *scout) recall(q question, mirror route.Target) (verdict, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.verdicts[key(q, mirror)]
	return v, ok && time.Now().Before(v.until)
}

// distrusts tells whether blobs are not taken from a mirror.
func (s *scout) distrusts(q question, mirror route.Target) (verdict, bool) {
	if q.kind != blobs {
		return verdict{}, false
	}
	return s.recall(anyBlob, mirror)
}
