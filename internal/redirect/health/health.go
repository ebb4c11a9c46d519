// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package health remembers the mirrors that the redirector cannot pull from (docs/reference/semantics.md V7). A caller must look at it regularly,
// because a fault ends by time alone if no try follows.
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
	// lasting is how long all tries must fail before that is a fault.
	lasting = time.Minute
	// known is how long the result of a try stays meaningful.
	known = 10 * time.Minute
	// settled is how long a fault keeps its text, because every node reports each change of it.
	settled = 10 * time.Minute
	// maxFaults bounds the reported faults, and maxMirrors the mirrors in memory.
	maxFaults  = 50
	maxMirrors = 1024
	// maxWhy bounds the text, in bytes.
	maxWhy = 512
)

// State is the kind of a mirror's fault.
type State string

// The states, as in a MirrorNode.
const (
	Silent  State = "Silent"
	Refuses State = "Refuses"
	Fails   State = "Fails"
)

// states maps the outcomes that are failures.
var states = map[accesslog.Outcome]State{
	accesslog.Silent:       Silent,
	accesslog.Credentials:  Refuses,
	accesslog.Error:        Fails,
	accesslog.WrongContent: Fails,
}

// Try is a try of a mirror.
type Try struct {
	// Mirror is its location, as in the rules.
	Mirror mirrors.Scope
	// Repository is the repository of the mirror that was tried.
	Repository string
	Outcome    accesslog.Outcome
	// Why is for people; it may be empty.
	Why string
	At  time.Time
}

// Fault describes a mirror that the node cannot pull from.
type Fault struct {
	Mirror mirrors.Scope
	State  State
	// Since is when the first of the failed tries began.
	Since time.Time
	// Why is on one line; it may be empty.
	Why string
}

// Memory remembers the latest answers of mirrors.
type Memory struct {
	changed func()

	mu       sync.Mutex
	byMirror map[mirrors.Scope]*mirror
}

// New returns a memory that calls the function when a try or new rules change the faults.
func New(changed func()) *Memory {
	return &Memory{changed: changed, byMirror: make(map[mirrors.Scope]*mirror)}
}

// mirror is the memory of one mirror.
type mirror struct {
	good    good
	failing *streak // nil where the last try did not fail
}

// good is the last try that did not fail.
type good struct {
	repository string
	at         time.Time
}

// streak is a series of failed tries.
type streak struct {
	first, last time.Time
	repository  string // of the first
	several     bool   // repositories
	// otherServed is when another repository was last served before the streak; zero if none was a short time ago.
	otherServed time.Time
	said        words
}

// words are the text about a fault.
type words struct {
	state State
	why   string
	at    time.Time
}

// isFault reports if the mirror is at fault. A mirror that fails for one repository alone, and served another a moment before, is not.
func (s *streak) isFault(now time.Time) bool {
	return s != nil && s.last.Sub(s.first) >= lasting && now.Sub(s.last) < known && (s.several || now.Sub(s.otherServed) >= known)
}

// fault returns the fault of a mirror; the zero value if it has none.
func (m *mirror) fault(of mirrors.Scope, now time.Time) Fault {
	if m == nil || !m.failing.isFault(now) {
		return Fault{}
	}
	return Fault{Mirror: of, State: m.failing.said.state, Since: m.failing.first, Why: m.failing.said.why}
}

// last returns when the mirror was last tried.
func (m *mirror) last() time.Time {
	if m.failing != nil {
		return m.failing.last
	}
	return m.good.at
}

// Note records a try. It may come late, because the outcome may take a while to be known. A later try then counts more.
func (m *Memory) Note(t Try) {
	state, fails := states[t.Outcome]
	if !fails && t.Outcome != accesslog.Served && t.Outcome != accesslog.Missing {
		return // the outcome is unknown
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

// oneLine cuts a text to the length that a report has room for.
func oneLine(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	if len(line) > maxWhy {
		line = strings.ToValidUTF8(line[:maxWhy], "") + "..."
	}
	return line
}

// add begins to remember a mirror. If there is no room, it replaces the mirror whose last try is the oldest. The caller holds the lock.
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

// Keep forgets all mirrors that the rules do not name.
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

// Faults returns the faults at a time, in the order of the mirrors. If there are too many, it returns those that began first.
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
