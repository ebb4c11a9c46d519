// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// The bounds of a log.
const (
	// most is how many pulls are kept. The oldest go first.
	most = 512
	// mostTries bounds the tries that are kept for one pull. A pull with more keeps the first ones.
	mostTries = 16
	// longestName, longestWhy and longestMessage bound the texts, in bytes.
	longestName, longestWhy, longestMessage = 512, 256, 1024
	// quiet is how long a repository must be without requests before its pull is over.
	quiet = time.Minute
	// pace is how often a watcher receives changes.
	pace = 200 * time.Millisecond
)

// Request is a request that may begin a pull.
type Request struct {
	At time.Time
	// Repository is that of the image, as HOST/REPOSITORY, and Object a tag of it, or a digest.
	Repository, Object string
	// Resolves is true if the request resolves a name: HEAD of a manifest.
	Resolves bool
	// Rank orders the places where containerd requests the same content.
	Rank int
	// Repeats is true if the request is a repetition, for example with credentials. It begins no pull.
	Repeats bool
}

// Image is the name of the requested content.
func (r Request) Image() string {
	separator := ":"
	if isDigest(r.Object) {
		separator = "@"
	}
	return line(r.Repository+separator+r.Object, longestName)
}

// isDigest distinguishes a digest from a tag.
func isDigest(object string) bool { return strings.Contains(object, ":") }

// Log holds the newest pulls, in memory (V1).
type Log struct {
	began    time.Time
	mu       sync.Mutex
	kept     [most]kept        // each at the place of its ID
	newest   uint64            // the ID of the last one; 0 for none
	latest   map[string]uint64 // the last pull of each repository that is among them
	resolved map[string]uint64 // the last one of each image that was resolved
	changes  uint64            // how often anything changed
}

type kept struct {
	Pull
	repository string
	isResolved bool
	first      int    // the rank at which its image was asked for first
	changed    uint64 // which change of the log was its last one
}

// New returns a log without pulls.
func New() *Log {
	return &Log{began: time.Now(), latest: make(map[string]uint64), resolved: make(map[string]uint64)}
}

// Since is when the log began. It has no older pulls.
func (l *Log) Since() time.Time { return l.began }

// Begin records a request, and returns the pull that it belongs to. The methods that record its outcome take that pull.
func (l *Log) Begin(r Request) (pull uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.pullOf(r); k != nil {
		k.Last = r.At
		l.change(k)
		return k.ID
	}
	return l.begin(r)
}

// pullOf returns the pull that a request continues; nil if the request begins one. containerd resolves a name at one rank after the other, so only
// the first of these requests begins a pull. The caller holds the lock.
func (l *Log) pullOf(r Request) *kept {
	same := l.at(l.resolved[r.Image()])
	if same != nil && r.At.Sub(same.Last) <= quiet && (!r.Resolves || r.Repeats || r.Rank > same.first) {
		return same
	}
	last := l.at(l.latest[r.Repository])
	if r.Resolves || last == nil || r.At.Sub(last.Last) > quiet {
		return nil
	}
	return last
}

// begin replaces the oldest pull with a new one. The caller holds the lock.
func (l *Log) begin(r Request) (pull uint64) {
	l.newest++
	k := &l.kept[l.newest%most]
	if l.latest[k.repository] == k.ID {
		delete(l.latest, k.repository)
	}
	if l.resolved[k.Image] == k.ID {
		delete(l.resolved, k.Image)
	}
	*k = kept{Pull: Pull{ID: l.newest, Began: r.At, Last: r.At, Image: line(r.Repository, longestName)}, repository: r.Repository}
	l.latest[r.Repository] = k.ID
	if r.Resolves {
		k.Image, k.isResolved, k.first = r.Image(), true, r.Rank
		l.resolved[k.Image] = k.ID
	}
	l.change(k)
	return k.ID
}

// at returns a pull; nil if it is no longer kept. The caller holds the lock.
func (l *Log) at(pull uint64) *kept {
	if k := &l.kept[pull%most]; pull != 0 && k.ID == pull {
		return k
	}
	return nil
}

func (l *Log) change(k *kept) {
	l.changes++
	k.changed = l.changes
}

// Image returns the name of the image that a request of a pull is for, if it is known: the image that the pull resolved. While other images of the
// repository are being pulled, a digest may belong to one of those.
func (l *Log) Image(pull uint64, r Request) (name string, isKnown bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.at(pull)
	if k == nil || !k.isResolved {
		return "", false
	}
	isOther := func(o kept) bool {
		return o.repository == k.repository && o.Image != k.Image && r.At.Sub(o.Last) <= quiet
	}
	return k.Image, isDigest(r.Object) && !slices.ContainsFunc(l.kept[:], isOther)
}

// Tried records one try for a pull. It adds the try to the other tries of the same place with the same outcome.
func (l *Log) Tried(pull uint64, try Tries) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.at(pull); k != nil {
		k.add(try)
		l.change(k)
	}
}

// Settled records the final outcome of a try that was recorded before, and the reason.
func (l *Log) Settled(pull uint64, was Tries, outcome Outcome, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.at(pull)
	if k == nil {
		return
	}
	i := k.find(was)
	if i < 0 {
		return // there was no room for it
	}
	if t := &k.Tries[i]; t.Requests > was.Requests {
		t.Requests, t.Bytes, t.Took = t.Requests-was.Requests, t.Bytes-was.Bytes, t.Took-was.Took
	} else {
		k.Tries = slices.Delete(k.Tries, i, i+1)
	}
	was.Outcome, was.Why = outcome, why
	k.add(was)
	l.change(k)
}

func (k *kept) add(try Tries) {
	try.Place, try.Why = line(try.Place, longestName), line(try.Why, longestWhy)
	if i := k.find(try); i >= 0 {
		t := &k.Tries[i]
		t.Requests, t.Bytes, t.Took, t.Why = t.Requests+try.Requests, t.Bytes+try.Bytes, t.Took+try.Took, try.Why
	} else if len(k.Tries) < mostTries {
		k.Tries = append(k.Tries, try)
	}
}

// find returns the index of the tries of a place with an outcome; -1 if there are none.
func (k *kept) find(try Tries) int {
	place := line(try.Place, longestName)
	return slices.IndexFunc(k.Tries, func(t Tries) bool { return t.Place == place && t.Source == try.Source && t.Outcome == try.Outcome })
}

// Refused records that a pull was refused, with a message and the sets that refuse it.
func (l *Log) Refused(pull uint64, message, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.at(pull); k != nil {
		k.Refusal, k.RefusedBy = line(message, longestMessage), line(by, longestMessage)
		l.change(k)
	}
}

// WouldRefuse records that sets in shadow mode would have refused a pull.
func (l *Log) WouldRefuse(pull uint64, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.at(pull); k != nil {
		k.WouldRefuse = line(by, longestMessage)
		l.change(k)
	}
}

// Pulls returns all pulls, the oldest first.
func (l *Log) Pulls() []Pull {
	pulls, _ := l.since(0)
	return pulls
}

// Watch calls the function with each known pull, the oldest first, and again with each pull that begins or changes. It continues until the context
// ends, which is no error, or the function fails. Changes that come while the function runs are merged into one.
func (l *Log) Watch(ctx context.Context, tell func(Pull) error) error {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	var seen uint64
	for {
		var pulls []Pull
		pulls, seen = l.since(seen)
		for _, p := range pulls {
			if err := tell(p); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// since returns copies of the pulls that changed after a change of the log, and the number of the last change.
func (l *Log) since(change uint64) (pulls []Pull, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if change == l.changes {
		return nil, change
	}
	for id := max(l.newest, most) - most + 1; id <= l.newest; id++ {
		if k := l.at(id); k.changed > change {
			p := k.Pull
			p.Tries = slices.Clone(p.Tries)
			pulls = append(pulls, p)
		}
	}
	return pulls, l.changes
}

// line returns a text as one line of at most this many bytes, in a form that a terminal prints unchanged.
func line(text string, longest int) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	end := ""
	if len(text) > longest {
		text, end = strings.ToValidUTF8(text[:longest-len("...")], ""), "..."
	}
	if strings.ContainsFunc(text, odd) {
		text = strings.Map(func(r rune) rune {
			if odd(r) {
				return ' '
			}
			return r
		}, text)
	}
	return text + end
}
