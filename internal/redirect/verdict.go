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

// The bounds of the memory.
const (
	// fresh is how long an answer is valid, so that a HEAD and the GET after it contact a mirror once.
	fresh = 15 * time.Second
	// distrusted is how long blobs are not taken from a repository that had a wrong manifest.
	distrusted = time.Minute
	// maxVerdicts bounds the verdicts in memory.
	maxVerdicts = 4096
)

// verdict is the judgement if a mirror is usable for an image.
type verdict struct {
	ok bool
	// silent is true if the mirror did not answer in time, and wrong if it has other content.
	silent, wrong bool
	// astray is true if the mirror leads to a forbidden place.
	astray bool
	// broken is true if the mirror could not be contacted, or answered 429 or 5xx.
	broken bool
	// answer is the outcome that it counts as, if the fields above do not decide that.
	answer accesslog.Outcome
	// answered is when a stream began, and bytes is how much of it was passed on.
	answered time.Time
	bytes    int64
	// why is for people; it may be empty.
	why   string
	until time.Time
}

// fails reports if a mirror is passed over for another reason than that it does not have an image, or does not give it to this node.
func (v verdict) fails() bool {
	return v.silent || v.wrong || v.astray || v.broken
}

// outcome returns the outcome that a try counts as, if nothing more becomes known about it.
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

// leftOff returns the verdict if containerd did not read a stream to its end: the rest is unknown.
func (v verdict) leftOff() verdict {
	v.answer, v.why = accesslog.Sent, "containerd did not read the whole answer"
	return v
}

// answered returns the verdict about a mirror that answered with an unexpected status.
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

// unsure returns the verdict about a mirror that containerd is still sent to, such as a mirror that requires credentials. Its answer to the
// redirector is no failure.
func unsure(code int) verdict {
	v := answered(code)
	v.ok, v.answer = true, cmp.Or(v.answer, accesslog.CameBack)
	return v
}

// memory holds the recent findings about mirrors.
type memory struct {
	mu       sync.Mutex
	verdicts map[asked]verdict
}

// asked is the subject of a verdict: an object of a kind, in a repository of a mirror.
type asked struct{ kind, host, repository, object string }

func about(q question, mirror route.Target) asked {
	return asked{q.kind, mirror.Host, mirror.Repository, q.object}
}

// anyBlob stands for all blobs of a repository.
var anyBlob = question{kind: blobs}

// remember keeps a verdict for a moment. If a manifest is a wrong one, the redirector cannot see which blobs belong to it, so it distrusts all of
// them.
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

// recall returns the verdict in memory about a mirror.
func (m *memory) recall(q question, mirror route.Target) (verdict, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.verdicts[about(q, mirror)]
	return v, ok && time.Now().Before(v.until)
}

// distrusts reports if blobs are not taken from a mirror.
func (m *memory) distrusts(q question, mirror route.Target) (verdict, bool) {
	if q.kind != blobs {
		return verdict{}, false
	}
	return m.recall(anyBlob, mirror)
}
