// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package health remembers which mirrors the redirector cannot pull from (docs/reference/semantics.md V7). Somebody has to look at it now and then, because a
// fault that nobody tries any more ends by time alone.
package health

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

const (
	// lasting is for how long all tries have to fail before that is a fault.
	lasting = time.Minute
	// known is how long a try says something about a mirror.
	known = 10 * time.Minute
	// settled is how long a fault keeps its words, because each change of them is written by each node.
	settled = 10 * time.Minute
	// maxFaults is how many faults are told, and maxMirrors of how many mirrors something is remembered.
	maxFaults  = 50
	maxMirrors = 1024
	// maxWhy is how long the words may be, in bytes.
	maxWhy = 512
)

// State is what is wrong with a mirror.
type State string

// The states. They are those of a MirrorNode.
const (
	Silent  State = "Silent"
	Refuses State = "Refuses"
	Fails   State = "Fails"
)

// states has the outcomes that are no good.
var states = map[accesslog.Outcome]State{
	accesslog.Silent:       Silent,
	accesslog.Credentials:  Refuses,
	accesslog.Error:        Fails,
	accesslog.WrongContent: Fails,
}

// Try is one of a mirror.
type Try struct {
	// Mirror is its location, as in the rules.
	Mirror mirrors.Scope
	// Repository is the one of the mirror that was tried.
	Repository string
	Outcome    accesslog.Outcome
	// Why is for people; empty where there is nothing to say.
	Why string
	At  time.Time
}

// Fault is a mirror that cannot be pulled from.
type Fault struct {
	Mirror mirrors.Scope
	State  State
	// Since is when the first of the tries was that all failed.
	Since time.Time
	// Why is on one line; it may be empty.
	Why string
}

// Memory remembers how mirrors answered last.
type Memory struct {
	changed func()

	mu       sync.Mutex
	byMirror map[mirrors.Scope]*mirror
}

// New returns a memory that calls the function when a try or other rules make the faults others than before.
func New(changed func()) *Memory {
	return &Memory{changed: changed, byMirror: make(map[mirrors.Scope]*mirror)}
}

// mirror is what is remembered of one.
type mirror struct {
	good    good
	failing *streak // nil where the last try did not fail
}

// good is the last try that did not fail.
type good struct {
	repository string
	at         time.Time
}

// streak is of tries that failed, one after the other.
type streak struct {
	first, last time.Time
	repository  string // of the first
	several     bool   // repositories
	// otherServed is when another repository was served last before it; zero where none was a short time ago.
	otherServed time.Time
	said        words
}

// words are what is said of a fault.
type words struct {
	state State
	why   string
	at    time.Time
}

// isFault reports whether the mirror is at fault. One that fails for a repository alone, and had another one a moment before, is not.
func (s *streak) isFault(now time.Time) bool {
	return s != nil && s.last.Sub(s.first) >= lasting && now.Sub(s.last) < known && (s.several || now.Sub(s.otherServed) >= known)
}

// fault is what is told of a mirror; the zero value where it has none.
func (m *mirror) fault(of mirrors.Scope, now time.Time) Fault {
	if m == nil || !m.failing.isFault(now) {
		return Fault{}
	}
	return Fault{Mirror: of, State: m.failing.said.state, Since: m.failing.first, Why: m.failing.said.why}
}

// last is when the mirror was tried last.
func (m *mirror) last() time.Time {
	if m.failing != nil {
		return m.failing.last
	}
	return m.good.at
}

// Note takes note of a try. It may come late, as where it takes a while until it is known what came of it: what was since says more.
func (m *Memory) Note(t Try) {
	state, fails := states[t.Outcome]
	if !fails && t.Outcome != accesslog.Served && t.Outcome != accesslog.Missing {
		return // nobody knows what came of it
	}
	m.mu.Lock()
	of := m.byMirror[t.Mirror]
	before := of.fault(t.Mirror, t.At)
	if of == nil {
		of = m.add(t.Mirror)
	}
	if fails {
		of.noteFailed(t, state)
	} else {
		of.noteGood(t)
	}
	changes := of.fault(t.Mirror, t.At) != before
	m.mu.Unlock()
	if changes {
		m.changed()
	}
}

func (m *mirror) noteGood(t Try) {
	if m.failing != nil && !t.At.Before(m.failing.first) {
		m.failing = nil
	}
	if t.At.Before(m.good.at) {
		return
	}
	m.good.at = t.At
	if m.good.repository != t.Repository {
		m.good.repository = strings.Clone(t.Repository) // and not a part of a whole request
	}
}

func (m *mirror) noteFailed(t Try, state State) {
	if t.At.Before(m.good.at) {
		return
	}
	s := m.failing
	if s == nil || t.At.Sub(s.last) >= known {
		s = &streak{first: t.At, last: t.At, repository: strings.Clone(t.Repository)}
		if m.good.repository != t.Repository {
			s.otherServed = m.good.at
		}
		m.failing = s
	}
	was := s.isFault(t.At)
	if t.At.Before(s.first) {
		s.first = t.At
	}
	if t.At.After(s.last) {
		s.last = t.At
	}
	s.several = s.several || s.repository != t.Repository
	if began := !was && s.isFault(t.At); began || t.At.Sub(s.said.at) >= settled {
		s.said = words{state, oneLine(t.Why), t.At}
	}
}

// oneLine cuts a text to what a report has room for.
func oneLine(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	if len(line) > maxWhy {
		line = strings.ToValidUTF8(line[:maxWhy], "") + "..."
	}
	return line
}

// add begins to remember a mirror, in the place of the one that was tried longest ago where there is no room. The lock is held.
func (m *Memory) add(location mirrors.Scope) *mirror {
	if len(m.byMirror) >= maxMirrors {
		var oldest mirrors.Scope
		for at, of := range m.byMirror {
			if first, ok := m.byMirror[oldest]; !ok || of.last().Before(first.last()) {
				oldest = at
			}
		}
		delete(m.byMirror, oldest)
	}
	of := &mirror{}
	m.byMirror[location] = of
	return of
}

// Keep forgets all mirrors but those that the rules name.
func (m *Memory) Keep(named iter.Seq[mirrors.Scope]) {
	m.mu.Lock()
	kept := make(map[mirrors.Scope]*mirror)
	for location := range named {
		if of := m.byMirror[location]; of != nil {
			kept[location] = of
		}
	}
	changes := false
	for location, of := range m.byMirror {
		changes = changes || kept[location] == nil && of.failing != nil && of.failing.isFault(of.failing.last)
	}
	m.byMirror = kept
	m.mu.Unlock()
	if changes {
		m.changed()
	}
}

// Faults are those that there are at a time, in the order of the mirrors. Where there are too many, it is those that began first.
func (m *Memory) Faults(now time.Time) (all []Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for location, of := range m.byMirror {
		if f := of.fault(location, now); f.Mirror != "" {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b Fault) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Mirror, b.Mirror)) })
	all = all[:min(len(all), maxFaults)]
	slices.SortFunc(all, func(a, b Fault) int { return cmp.Compare(a.Mirror, b.Mirror) })
	return all
}
