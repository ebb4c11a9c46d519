// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package failures remembers the pulls that the redirector saw fail, and compares those since a change of the rules with those before it (C10 of
// docs/reference/semantics.md).
//
// The counts must mean the same on both sides of a change, however containerd and the kubelet carry out one pull. containerd requests a tag, the
// digests of an index and of a manifest, and each blob. It uses HEAD and GET, and walks all ranks each time. The requests do not show which digests
// belong to one tag. The kubelet retries a failed pull for each of its Pods, first after seconds and then after minutes. So the package counts
// different things, and not how often each failed. It counts the images that were refused, by tag or by the digest of a manifest. It also counts
// pairs of a repository and a mirror that was passed over for it. All blobs that are refused for one repository are one thing.
package failures

import (
	"strings"
	"sync"
	"time"
)

const (
	// span is how long a failure is kept, and how far a comparison reaches back before the change. It reaches as far beyond the change if nothing
	// waits for the result.
	span = 10 * time.Minute
	// most bounds the failures that are kept. The oldest go first. With fewer failures from before a change, those since it look worse. That can hold
	// a change back without need, but it never lets a bad change through.
	most = 4096
	// settled is how long a repeated failure is still the same failure. It bounds the room that one pull takes.
	settled = 5 * time.Second
	// wakes is the shortest time between two calls of the function.
	wakes = time.Second
)

// Failure is the failure of a request for a part of an image.
type Failure struct {
	// Host and Repository are those of the image.
	Host, Repository string
	// Object is the requested tag or digest. The digest is that of a blob or of a manifest.
	Object string
	IsBlob bool
	// Mirror is the mirror that was passed over, as HOST/REPOSITORY; "" if the source is blocked and the pull was refused.
	Mirror string
	// Why is for people.
	Why string
	// Rules is the digest of the rules that answered the request.
	Rules string
	// At is the time of the request.
	At time.Time
}

// thing is the thing that a failure counts for.
type thing struct {
	host, repository string
	object           string // of a refusal; "" for all blobs
	mirror           string
}

// registry returns the registry of the mirror.
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

// Memory remembers failures. It costs nothing if there are none.
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

// New returns a memory. It calls the function, at most once a second, when the result for a change has become worse.
func New(worse func()) *Memory {
	return &Memory{worse: worse, since: time.Now(), latest: make(map[thing]event)}
}

// Note records a failure.
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

// thingOf returns the thing that a failure counts for. If no place has a manifest, containerd requests the same digest as a blob. The caller holds
// the lock.
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

// forget makes room for another failure. The caller holds the lock.
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

// wake makes the caller of [Memory.Compare] call again. The caller of wake holds the lock.
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

// Compare returns the known failures that a change touches. The first call for a change makes it the watched one, and should come within minutes of
// the change.
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
