// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tries keeps account of what each try of a mirror came to (V2 of docs/reference/semantics.md), for the access log and for whoever counts tries.
//
// Where a mirror asks for credentials that the redirector does not have, only containerd sees what it answers in the end. It does not tell, but goes
// on to the next place if that was no good. So such a try waits for a minute, and counts as sent if containerd is not seen again. If it is, the mirror
// refused it, or does not have the image: most registries answer 401 to strangers in both cases. No goroutine waits for it: the next request, or whoever collects what is counted, looks whether the minute is over.
package tries

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// The bounds of what is not settled yet.
const (
	// waits is how long containerd has to come back.
	waits = time.Minute
	// repeats is how long it has to come back with credentials.
	repeats = 10 * time.Second
	// most bounds the tries that wait. The oldest count as sent before their time.
	most = 4096
)

// Try is one of a mirror.
type Try struct {
	// Mirror is its location, as in the rules, and Repository the one of it that was tried, as HOST/REPOSITORY.
	Mirror     mirrors.Scope
	Repository string
	Outcome    accesslog.Outcome
	// Why is for people, on one line; empty where there is nothing to say.
	Why string
	// At is when it began, Answered how long it took until containerd had an answer, and Took until all of that was sent.
	At             time.Time
	Answered, Took time.Duration
	// Bytes were streamed.
	Bytes int64
}

// AtSource is what a request came to that came to the source of a rule.
type AtSource string

// What there is. A request that would be refused (V5) is also one that was sent, to the source or to a mirror.
const (
	SentOn         AtSource = "sent"
	Refused        AtSource = "refused"
	WouldBeRefused AtSource = "would_be_refused"
)

// logged is how the access log has it.
func (t Try) logged() accesslog.Tries {
	return accesslog.Tries{Place: t.Repository, Outcome: t.Outcome, Requests: 1, Why: t.Why, Bytes: t.Bytes, Took: t.Took}
}

// waiting is a try that containerd may come back from.
type waiting struct {
	Try
	pull     uint64
	object   object
	rank     int
	since    time.Time
	answered tried // what it counts as then; the zero value for nothing
	wants    bool  // credentials
	repeated bool
	counted  bool // it counts as something already
	over     bool // it is settled, and of no use
}

// tried is what came of a try, and why.
type tried struct {
	outcome accesslog.Outcome
	why     string
}

// isLessLikely reports whether containerd comes back from another place rather than from here. It goes from rank to rank, and does not come back where
// its credentials are good, as they mostly are. An older try may be of a pull that got what it wanted.
func (w *waiting) isLessLikely(newer *waiting) bool {
	return newer.rank > w.rank || newer.rank == w.rank && (w.repeated || !newer.repeated)
}

// object is what containerd asks for at one place after the other.
type object struct{ method, kind, repository, name string }

// Memory has the tries that are not settled yet.
type Memory struct {
	log   *accesslog.Log
	tried func(Try)

	mu       sync.Mutex
	queue    []*waiting // in the order in which they came
	byObject map[object][]*waiting
}

// New returns a memory that has the log take note of each try at once, and the function of each that is settled.
func New(log *accesslog.Log, tried func(Try)) *Memory {
	return &Memory{log: log, tried: tried, byObject: make(map[object][]*waiting)}
}

// Settle counts the tries that waited long enough.
func (m *Memory) Settle() {
	m.mu.Lock()
	settled := m.settle(time.Now(), most)
	m.mu.Unlock()
	m.tell(settled)
}

// settle takes the tries off the queue that are settled, because it is time or because there are more than so many. The lock is held.
func (m *Memory) settle(now time.Time, limit int) (settled []Try) {
	for len(m.queue) > 0 && (m.queue[0].over || now.Sub(m.queue[0].since) >= waits || len(m.queue) > limit) {
		w := m.queue[0]
		m.queue[0] = nil
		m.queue = m.queue[1:]
		if !w.over {
			m.end(w)
			if !w.counted {
				settled = append(settled, w.Try)
			}
		}
	}
	return settled
}

// end has a try wait no longer. The lock is held.
func (m *Memory) end(w *waiting) {
	w.over = true
	all := m.byObject[w.object]
	if len(all) == 1 {
		delete(m.byObject, w.object)
		return
	}
	at := slices.Index(all, w)
	copy(all[1:at+1], all[:at]) // the older ones, because it is the oldest that mostly ends
	all[0] = nil
	m.byObject[w.object] = all[1:]
}

// mayRepeat has a request repeated whose try waits, if containerd came back from one beside it that was not: either may be the one that it came back
// from, and what comes now is no further pull. The lock is held.
func (m *Memory) mayRepeat(back *waiting) {
	for _, w := range m.byObject[back.object] {
		if w.repeated && w.rank == back.rank && back.wants && !back.repeated {
			w.repeated = false
			return
		}
	}
}

func (m *Memory) tell(settled []Try) {
	for _, t := range settled {
		m.tried(t)
	}
}

// Request is one of containerd.
type Request struct {
	At     time.Time
	Method string
	// Kind and Object are what it asks for, and Repository is that of the image, as HOST/REPOSITORY.
	Kind, Repository, Object string
	// Resolves says that it asks what a name stands for.
	Resolves bool
	Entry    route.Entry
}

// rank orders the entries as containerd asks them: the source's comes last.
func (r Request) rank() int {
	if rank, isRank := r.Entry.Rank(); isRank {
		return rank
	}
	return math.MaxInt
}

// Account is that of one request.
type Account struct {
	memory *Memory
	asks   accesslog.Request
	object object
	pull   uint64
}

// Begin opens the account of a request. What it tells of tries that wait is settled.
func (m *Memory) Begin(r Request) *Account {
	a := &Account{
		memory: m, object: object{r.Method, r.Kind, r.Repository, r.Object},
		asks: accesslog.Request{At: r.At, Repository: r.Repository, Object: r.Object, Resolves: r.Resolves, Rank: r.rank()},
	}
	m.mu.Lock()
	settled := m.settle(r.At, most)
	var back *waiting
	for _, w := range m.byObject[a.object] {
		switch {
		case w.rank < a.asks.Rank && (back == nil || back.isLessLikely(w)):
			back = w
		case w.rank == a.asks.Rank && !w.repeated && w.wants && r.At.Sub(w.since) <= repeats && !a.asks.Repeats:
			w.repeated, a.asks.Repeats = true, true
		}
	}
	if back != nil {
		m.end(back)
		m.mayRepeat(back)
	}
	m.mu.Unlock()
	if back != nil && back.answered.outcome != "" {
		was := back.logged()
		back.Outcome, back.Why = back.answered.outcome, back.answered.why
		if back.counted { // and counts once more, now
			back.At = r.At
		}
		m.log.Settled(back.pull, was, back.Outcome, back.Why)
		settled = append(settled, back.Try)
	}
	m.tell(settled)
	a.pull = m.log.Begin(a.asks)
	return a
}

// Tried takes note of a try that is settled.
func (a *Account) Tried(t Try) {
	a.memory.log.Tried(a.pull, t.logged())
	a.memory.tried(t)
}

// Sent takes note of a try whose end containerd alone will see. Its outcome is what the mirror answered the redirector, and counts if containerd comes
// back; but that a mirror wanted credentials of the redirector, which has none, does not tell what containerd met with. A request that containerd
// repeats with credentials is the same try. A mirror that has what it is asked for has served it, unless containerd comes back.
func (a *Account) Sent(t Try) {
	w := &waiting{Try: t, answered: tried{t.Outcome, t.Why}, wants: t.Outcome == accesslog.Credentials}
	switch {
	case t.Outcome == accesslog.Served:
		a.Tried(t)
		w.counted, w.answered = true, tried{accesslog.Error, "it answered the redirector that it has the content, but containerd was sent there and came back"}
		a.wait(w)
		return
	case a.asks.Repeats:
		return
	case w.wants || t.Outcome == accesslog.CameBack:
		w.answered = tried{accesslog.CameBack, t.Why + " to the redirector, and containerd came back: the mirror refused containerd or does not have the image"}
	}
	w.Outcome = accesslog.Sent
	a.memory.log.Tried(a.pull, w.logged())
	a.wait(w)
}

// GoesOn takes note that containerd was not sent to a mirror, but on to the next place. So what it asks there says nothing about a mirror that another
// pull was sent to.
func (a *Account) GoesOn() {
	a.memory.mu.Lock()
	isAlone := len(a.memory.byObject[a.object]) == 0
	a.memory.mu.Unlock()
	if !isAlone {
		a.wait(&waiting{counted: true})
	}
}

// wait has a try of this request wait.
func (a *Account) wait(w *waiting) {
	w.pull, w.object, w.rank, w.since = a.pull, a.object, a.asks.Rank, a.asks.At
	w.object.kind, w.object.name = strings.Clone(w.object.kind), strings.Clone(w.object.name) // and not parts of a whole request
	a.memory.mu.Lock()
	a.memory.queue = append(a.memory.queue, w)
	a.memory.byObject[w.object] = append(a.memory.byObject[w.object], w)
	settled := a.memory.settle(a.asks.At, most)
	a.memory.mu.Unlock()
	a.memory.tell(settled)
}

// AtSource takes note of what a request came to at the image's own registry, which the log alone counts.
func (a *Account) AtSource(t Try) {
	entry := t.logged()
	entry.Source = true
	a.memory.log.Tried(a.pull, entry)
}

// Refused takes note that a request was refused, with a message, by sets.
func (a *Account) Refused(message, by string) {
	a.memory.log.Refused(a.pull, message, by)
}

// WouldRefuse takes note that a request would have been refused by sets, and returns the name of the image: that which containerd resolved, as far as
// it is known. Else it is what is asked for, or, as the digest of a blob is no image, the repository.
func (a *Account) WouldRefuse(by string, isBlob bool) (image string) {
	a.memory.log.WouldRefuse(a.pull, by)
	image, isKnown := a.memory.log.Image(a.pull, a.asks)
	switch {
	case isKnown:
		return image
	case isBlob:
		return a.asks.Repository
	}
	return a.asks.Image()
}
