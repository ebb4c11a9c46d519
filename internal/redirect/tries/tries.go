// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tries records the outcome of each try of a mirror (V2 of docs/reference/semantics.md), for the access log and for the metrics of tries.
//
// If a mirror requires credentials that the redirector does not have, only containerd sees the final answer. It does not report it, but contacts the
// next place if the answer was no good. So such a try waits for a minute, and counts as sent if containerd does not return. If containerd returns,
// the mirror refused it or does not have the image. No goroutine waits: the next request, or the collector of the counts, checks the minute.
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

// The bounds of unsettled tries.
const (
	// waits is how long containerd may take to come back.
	waits = time.Minute
	// repeats is how long containerd may take to come back with credentials.
	repeats = 10 * time.Second
	// most bounds the waiting tries. The oldest count as sent before their time.
	most = 4096
)

// Try is a try of a mirror.
type Try struct {
	// Mirror is its location, as in the rules, and Repository the repository that was tried, as HOST/REPOSITORY.
	Mirror     mirrors.Scope
	Repository string
	Outcome    accesslog.Outcome
	// Why is for people, on one line; it may be empty.
	Why string
	// At is when the try began. Answered is the time until containerd had an answer, and Took the time until the complete answer was sent.
	At             time.Time
	Answered, Took time.Duration
	// Bytes is how many bytes were streamed.
	Bytes int64
}

// AtSource is the outcome of a request that reached the source of a rule.
type AtSource string

// The outcomes. A request that would be refused (V5) also counts as sent, to the source or to a mirror.
const (
	SentOn         AtSource = "sent"
	Refused        AtSource = "refused"
	WouldBeRefused AtSource = "would_be_refused"
)

// logged returns the try as an entry of the access log.
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

// tried is the outcome of a try, and its reason.
type tried struct {
	outcome accesslog.Outcome
	why     string
}

// isLessLikely reports if containerd more likely comes back from the newer try than from this one. containerd goes from rank to rank, and usually
// does not come back if its credentials are good. An older try may belong to a pull that succeeded.
func (w *waiting) isLessLikely(newer *waiting) bool {
	return newer.rank > w.rank || newer.rank == w.rank && (w.repeated || !newer.repeated)
}

// object is the content that containerd requests at one place after the other.
type object struct{ method, kind, repository, name string }

// Memory holds the unsettled tries.
type Memory struct {
	log   *accesslog.Log
	tried func(Try)

	mu       sync.Mutex
	queue    []*waiting // in the order in which they came
	byObject map[object][]*waiting
}

// New returns a memory. It records each try in the log immediately, and calls the function for each try that is settled.
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

// settle removes the settled tries from the queue. A try is settled if its time is over or if there are more than the limit. The caller holds the
// lock.
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

// end ends the waiting of a try. The caller holds the lock.
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

// mayRepeat allows another repetition of a waiting try's request, after containerd came back from an unrepeated try at the same rank. containerd may
// have come back from either try, and the next request is not a further pull. The caller holds the lock.
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

// Request is a request of containerd.
type Request struct {
	At     time.Time
	Method string
	// Kind and Object are the requested content, and Repository is that of the image, as HOST/REPOSITORY.
	Kind, Repository, Object string
	// Resolves is true if the request resolves a name.
	Resolves bool
	Entry    route.Entry
}

// rank orders the entries as containerd uses them: the source's entry comes last.
func (r Request) rank() int {
	if rank, isRank := r.Entry.Rank(); isRank {
		return rank
	}
	return math.MaxInt
}

// Account is the account of one request.
type Account struct {
	memory *Memory
	asks   accesslog.Request
	object object
	pull   uint64
}

// Begin opens the account of a request. It settles the waiting tries whose outcome the request shows.
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

// Tried records a settled try.
func (a *Account) Tried(t Try) {
	a.memory.log.Tried(a.pull, t.logged())
	a.memory.tried(t)
}

// Sent records a try whose end only containerd will see. Its outcome is the mirror's answer to the redirector, and counts if containerd comes back.
// One answer does not count: the redirector has no credentials, so a mirror that required some does not show what containerd met with. A request that
// containerd repeats with credentials is the same try. A mirror that has the requested content has served it, unless containerd comes back.
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

// GoesOn records that containerd was sent not to a mirror, but to the next place. So its request there shows nothing about a mirror that another pull
// was sent to.
func (a *Account) GoesOn() {
	a.memory.mu.Lock()
	isAlone := len(a.memory.byObject[a.object]) == 0
	a.memory.mu.Unlock()
	if !isAlone {
		a.wait(&waiting{counted: true})
	}
}

// wait adds a try of this request to the waiting ones.
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

// AtSource records the outcome of a request at the image's own registry. Only the log counts it.
func (a *Account) AtSource(t Try) {
	entry := t.logged()
	entry.Source = true
	a.memory.log.Tried(a.pull, entry)
}

// Refused records that a request was refused, with a message and the sets that refuse it.
func (a *Account) Refused(message, by string) {
	a.memory.log.Refused(a.pull, message, by)
}

// WouldRefuse records that sets would have refused a request, and returns the name of the image. That is the image that containerd resolved, if it is
// known. Otherwise it is the requested image or, for a blob, whose digest is no image, the repository.
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
