// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
	"github.com/mirrorset/mirrorset/internal/route"
)

// The bounds of what is remembered.
const (
	// fresh is how long an answer is good for, so that a HEAD and the GET behind it ask once.
	fresh = 15 * time.Second
	// distrusted is how long blobs are not taken from a repository with a manifest that is another one.
	distrusted = time.Minute
	// maxVerdicts bounds what is remembered, of each kind.
	maxVerdicts = 4096
)

// verdict is whether a mirror is worth the way for an image.
type verdict struct {
	ok bool
	// silent says that the mirror did not answer in time, and wrong that it has other content.
	silent, wrong bool
	// astray says that the mirror leads to where it must not.
	astray bool
	// broken says that the mirror could not be asked, or answered 429 or 5xx.
	broken bool
	// answer is what it counts as, where all of the above does not tell.
	answer accesslog.Outcome
	// answered is when a stream began, and bytes how much of it was passed on.
	answered time.Time
	bytes    int64
	// why is for people; empty where there is nothing to say.
	why   string
	until time.Time
}

// fails reports whether a mirror is passed over for more than that it does not have an image, or does not give it to this node.
func (v verdict) fails() bool {
	return v.silent || v.wrong || v.astray || v.broken
}

// outcome returns what a try counts as, if nothing is heard of it any more.
func (v verdict) outcome() accesslog.Outcome {
	switch {
	case v.answer != "":
		return v.answer
	case v.silent:
		return accesslog.Silent
	case v.wrong:
		return accesslog.WrongContent
	}
	return accesslog.Error
}

// leftOff is the verdict where containerd did not take a stream to its end: nobody knows what the rest would have been.
func (v verdict) leftOff() verdict {
	v.answer, v.why = accesslog.Sent, "containerd did not read the whole answer"
	return v
}

// answered is the verdict about a mirror that answered with another status than it should have.
func answered(code int) verdict {
	v := verdict{broken: code == http.StatusTooManyRequests || code >= http.StatusInternalServerError, why: "it answered " + upstream.StatusText(code)}
	switch code {
	case http.StatusNotFound, http.StatusGone:
		v.answer = accesslog.Missing
	case http.StatusUnauthorized, http.StatusForbidden:
		v.answer = accesslog.Credentials
	}
	return v
}

// unsure is the verdict about a mirror that containerd is sent to all the same, such as one that wants to know who asks. Its answer to the redirector is
// no failure.
func unsure(code int) verdict {
	v := answered(code)
	v.ok, v.answer = true, cmp.Or(v.answer, accesslog.CameBack)
	return v
}

// memory is what was found out about mirrors a moment ago.
type memory struct {
	mu       sync.Mutex
	verdicts map[asked]verdict
}

// asked is what a verdict is about: an object of a kind, in a repository of a mirror.
type asked struct{ kind, host, repository, object string }

func about(q question, mirror route.Target) asked {
	return asked{q.kind, mirror.Host, mirror.Repository, q.object}
}

// anyBlob stands for all blobs of a repository.
var anyBlob = question{kind: blobs}

// remember keeps a verdict for a moment. Where a manifest is another one, whose the blobs are cannot be told from here.
func (m *memory) remember(q question, mirror route.Target, v verdict) {
	m.rememberFor(fresh, q, mirror, v)
	if v.wrong {
		m.rememberFor(distrusted, anyBlob, mirror, v)
	}
}

func (m *memory) rememberFor(d time.Duration, q question, mirror route.Target, v verdict) {
	v.until = time.Now().Add(d)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.verdicts) >= maxVerdicts {
		clear(m.verdicts)
	}
	of := about(q, mirror)
	of.kind, of.object = strings.Clone(of.kind), strings.Clone(of.object) // and not parts of a whole request
	m.verdicts[of] = v
}

// recall returns what was remembered about a mirror.
func (m *memory) recall(q question, mirror route.Target) (verdict, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.verdicts[about(q, mirror)]
	return v, ok && time.Now().Before(v.until)
}

// distrusts reports whether blobs are not taken from a mirror.
func (m *memory) distrusts(q question, mirror route.Target) (verdict, bool) {
	if q.kind != blobs {
		return verdict{}, false
	}
	return m.recall(anyBlob, mirror)
}
