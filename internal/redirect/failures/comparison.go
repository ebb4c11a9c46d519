// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package failures

import "time"

const (
	// maxLast is how many failures are described in words.
	maxLast = 3
	// lasting applies to a registry whose mirror fails for one repository alone. The registry counts only if it fails again this long after its first
	// failure.
	// failure.
	lasting = 30 * time.Second
)

// Change is a change of the rules.
type Change struct {
	// Touched reports if the change touches images of a repository. It is called under a lock, and must not call back into this package.
	Touched func(host, repository string) bool
	// Before and After are the digests of the rules before and after the change. Failures under any other rules do not count.
	Before, After string
	// At is when the new rules came into force.
	At time.Time
	// IsTried is true while the decision about the rest of the change is open. Otherwise, failures later than ten minutes after the change do not
	// count.
	IsTried bool
}

// Comparison compares the failures since a change with those in an equally long time before it, ten minutes at most. It is the worst result so far: a
// failure stays a failure, even if the time before the change looks no better once more of it counts.
type Comparison struct {
	// Refused counts images, and PassedOver counts pairs of a mirror and a repository. A thing that failed in the ten minutes before the change and
	// again since is in both counts, because the kubelet may take that long to retry a pull.
	Refused, PassedOver Count
	// More is how many more things failed than before. A pull that is refused because its mirror fails is in both counts, so More is the larger of
	// the two differences, and at least 0.
	More int
	// Last describes, in words, the latest failures of things that did not fail before.
	Last []string
	// Known is how much of the time before the change is known. A new memory knows nothing of it, so that all failures count as more than before. A
	// change that is then held back for nothing gets a person's attention. A change that breaks pulls does not get through only because the agent
	// restarted.
	Known time.Duration
}

// Count is how many things failed.
type Count struct{ Before, After int }

// of returns the count that a thing is in.
func (c *Comparison) of(t thing) *Count {
	if t.mirror == "" {
		return &c.Refused
	}
	return &c.PassedOver
}

// comparison is a comparison that is still running.
type comparison struct {
	Change
	known time.Duration

	before map[thing]*earlier
	news   map[thing]bool       // what failed since the change, and not before
	held   map[string]*occasion // by registry of the mirrors, those of the news
	fresh  Comparison           // counts the news alone
	last   []event              // of these, each once
	worst  Comparison
}

// earlier is a thing that failed before the change.
type earlier struct {
	first, last time.Time // before the change
	again       bool      // since it, too
}

// occasion is a time in which the mirrors of a registry failed for some repositories.
type occasion struct {
	first        event
	repositories int
	lasts        bool // one failed again
}

// counts reports if the failure is more than a brief failure for one repository, which happens at any registry.
func (o *occasion) counts() bool { return o.repositories > 1 || o.lasts }

func newComparison(change Change, since time.Time) *comparison {
	return &comparison{
		Change: change, known: min(span, max(0, change.At.Sub(since))),
		before: make(map[thing]*earlier), news: make(map[thing]bool), held: make(map[string]*occasion),
	}
}

// add counts a failure, and reports if there is something to report. A failure that it has no room for would not change the result: by then, more
// things failed since the change than can have failed before it.
func (c *comparison) add(e event) (tells bool) {
	after := e.at.Sub(c.At)
	switch {
	case !c.Touched(e.host, e.repository):
		return false
	case e.rules == c.Before && after >= -span:
		c.addEarlier(e) // a change may have come while it was asked for
		return false
	case e.rules != c.After || after < 0 || after >= span && !c.IsTried:
		return false // as by the same rules when they were tried before
	}
	known := c.before[e.thing]
	switch {
	case known != nil && known.again:
		return false
	case known != nil: // so it does not stand for another one that failed only since
		known.again = true
	case e.mirror != "":
		if !c.addPassedOver(e) {
			return false
		}
	case c.isRoomFor(e):
		c.count(e)
	default:
		return false
	}
	return c.judge(e.at)
}

func (c *comparison) addEarlier(e event) {
	if known := c.before[e.thing]; known != nil {
		known.last = e.at
	} else if len(c.before) < most {
		c.before[e.thing] = &earlier{first: e.at, last: e.at}
	}
}

// isRoomFor adds a thing that has not failed before, neither since the change nor earlier, if there is room.
func (c *comparison) isRoomFor(e event) bool {
	if c.news[e.thing] || len(c.news) > most {
		return false
	}
	c.news[e.thing] = true
	return true
}

// addPassedOver holds a registry's first failure until it counts, and reports if more failures count now.
func (c *comparison) addPassedOver(e event) bool {
	o := c.held[e.registry()]
	if o == nil {
		o = &occasion{first: e}
	}
	counted, isNew := o.counts(), c.isRoomFor(e)
	switch {
	case isNew:
		c.held[e.registry()] = o
		o.repositories++
	case c.news[e.thing] && e.at.Sub(o.first.at) >= lasting:
		o.lasts = true
	}
	switch {
	case !o.counts() || counted && !isNew:
		return false
	case !counted && isNew:
		c.count(o.first)
	}
	c.count(e)
	return true
}

// count counts a failure as new.
func (c *comparison) count(e event) {
	c.fresh.of(e.thing).After++
	c.last = append(c.last, e)
	if len(c.last) > maxLast {
		c.last = append(c.last[:0:0], c.last[1:]...)
	}
}

// judge compares as of a time, keeps the result unless an earlier one was worse, and reports if there is something to report.
func (c *comparison) judge(now time.Time) bool {
	compared := c.compare(now)
	if compared.More == 0 || compared.More < c.worst.More {
		return false
	}
	c.worst = compared // with what failed last
	return true
}

// asOf returns the comparison at a time, or the worst one so far.
func (c *comparison) asOf(now time.Time) Comparison {
	if c.worst.More > 0 {
		return c.worst
	}
	return c.compare(now)
}

func (c *comparison) compare(now time.Time) Comparison {
	compared := c.fresh
	compared.Known = c.known
	from := c.At.Add(-min(now.Sub(c.At), span))
	held := make(map[string]*occasion)
	for t, known := range c.before {
		switch {
		case known.again:
			compared.of(t).Before++
			compared.of(t).After++
		case known.last.Before(from):
		case t.mirror == "":
			compared.Refused.Before++
		default:
			hold(held, t.registry(), known)
		}
	}
	for _, o := range held {
		if o.counts() {
			compared.PassedOver.Before += o.repositories
		}
	}
	for _, e := range c.last {
		compared.Last = append(compared.Last, e.text)
	}
	compared.More = max(0, compared.Refused.After-compared.Refused.Before, compared.PassedOver.After-compared.PassedOver.Before)
	return compared
}

// hold adds a failure of a registry from before the change.
func hold(held map[string]*occasion, registry string, known *earlier) {
	o := held[registry]
	if o == nil {
		o = &occasion{}
		held[registry] = o
	}
	o.repositories++
	o.lasts = o.lasts || known.last.Sub(known.first) >= lasting
}
