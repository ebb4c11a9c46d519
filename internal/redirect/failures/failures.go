// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package failures remembers the pulls that the redirector saw fail, and compares those since a change of the rules with those before it (C10 of
// docs/reference/semantics.md).
//
// What is counted has to be the same on both sides of a change, whatever containerd and the kubelet make of one pull. containerd asks for a tag, for
// the digests of an index and of a manifest, and for each blob, with HEAD and GET, and walks all ranks each time; which digests belong to one tag, the
// requests do not tell. The kubelet tries a pull that failed again, first after seconds and then after minutes, for each of its Pods. So different
// things are counted, and not how often each came up: images that were refused, by tag or by the digest of a manifest, and pairs of a repository and a
// mirror that was passed over for it. All blobs that a repository is refused are one thing.
package failures

import (
	"strings"
	"sync"
	"time"
)

const (
	// span is how far a comparison goes back before the change, and on after it where nothing waits for that; and how long a failure is kept.
	span = 10 * time.Minute
	// most bounds the failures that are kept. The oldest go first: with fewer from before a change, those since it look worse, which holds a
	// change back that need not be held back, and lets none through that must be.
	most = 4096
	// settled is how long a failure that comes up again is still the same one. It bounds what one pull takes of the room.
	settled = 5 * time.Second
	// wakes is how often at most anybody is woken.
	wakes = time.Second
)

// Failure is what a request for a part of an image came to.
type Failure struct {
	// Host and Repository are those of the image.
	Host, Repository string
	// Object is what was asked for: a tag or a digest, of a blob or else of a manifest.
	Object string
	IsBlob bool
	// Mirror is the one that was passed over, as HOST/REPOSITORY; "" where the source is blocked, and the pull was refused.
	Mirror string
	// Why is for people.
	Why string
	// Rules is the digest of those that the request was answered by.
	Rules string
	// At is when it came.
	At time.Time
}

// thing is what a failure counts as.
type thing struct {
	host, repository string
	object           string // of a refusal; "" for all blobs
	mirror           string
}

// registry returns the one that a mirror is in.
func (t thing) registry() string {
	host, _, _ := strings.Cut(t.mirror, "/")
	return host
}

// event is a failure that is kept.
type event struct {
	thing
	rules string
	at    time.Time
	text  string
}

// Memory remembers failures. It costs nothing where none is noted.
type Memory struct {
	worse func()
	since time.Time // nothing is known from before

	mu      sync.Mutex
	events  []event         // in the order in which they were noted
	latest  map[thing]event // as each was noted last
	watched *comparison     // nil until somebody asks for one
	woken   time.Time
	waking  bool
}

// New returns a memory that calls the function, at most once a second, when what it returned of a change has become worse.
func New(worse func()) *Memory {
	return &Memory{worse: worse, since: time.Now(), latest: make(map[thing]event)}
}

// Note takes note of a failure.
func (m *Memory) Note(f Failure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := event{m.thingOf(f), f.Rules, f.At, text(f)}
	if last, ok := m.latest[e.thing]; ok && e.at.Sub(last.at) < settled && last.rules == e.rules {
		return
	}
	m.forget(time.Now())
	m.events = append(m.events, e)
	m.latest[e.thing] = e
	if m.watched != nil && m.watched.add(e) {
		m.wake()
	}
}

// thingOf returns what a failure counts as. Where nobody has a manifest, containerd asks for the same digest as a blob. The lock is held.
func (m *Memory) thingOf(f Failure) thing {
	t := thing{host: strings.Clone(f.Host), repository: strings.Clone(f.Repository), mirror: f.Mirror} // and not a part of a whole request
	if f.Mirror != "" {
		return t
	}
	t.object = strings.Clone(f.Object)
	if _, isManifest := m.latest[t]; f.IsBlob && !isManifest {
		t.object = ""
	}
	return t
}

// forget makes room for one more. The lock is held.
func (m *Memory) forget(now time.Time) {
	old := 0
	for old < len(m.events) && (len(m.events)-old >= most || now.Sub(m.events[old].at) > span) {
		if e := m.events[old]; m.latest[e.thing].at.Equal(e.at) {
			delete(m.latest, e.thing)
		}
		old++
	}
	m.events = m.events[old:] // append moves them once there is no room behind
}

// wake has somebody ask again. The lock is held.
func (m *Memory) wake() {
	if m.waking {
		return
	}
	m.waking = true
	time.AfterFunc(wakes-time.Since(m.woken), func() {
		m.mu.Lock()
		m.woken, m.waking = time.Now(), false
		m.mu.Unlock()
		m.worse()
	})
}

// Compare returns what is known of the failures that a change touches. From the first call for a change on, which is to come within minutes of it, it is
// this change that is watched.
func (m *Memory) Compare(change Change) Comparison {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watched == nil || !m.watched.At.Equal(change.At) || m.watched.Before != change.Before || m.watched.After != change.After {
		m.watched = newComparison(change, m.since)
		for _, e := range m.events {
			m.watched.add(e)
		}
	}
	m.watched.IsTried = change.IsTried
	return m.watched.asOf(time.Now())
}

// maxText is how long a text about a failure may be, in bytes: a refusal names all mirrors.
const maxText = 512

func text(f Failure) string {
	image, what := f.Host+"/"+f.Repository, f.Why
	switch {
	case f.IsBlob:
		image = "a blob of " + image
	case strings.Contains(f.Object, ":"):
		image += "@" + f.Object
	default:
		image += ":" + f.Object
	}
	if f.Mirror != "" {
		what = "mirror " + f.Mirror + ": " + f.Why
	}
	whole := image + ": " + what
	if len(whole) > maxText {
		return strings.ToValidUTF8(whole[:maxText], "") + "..."
	}
	return strings.Clone(whole)
}
