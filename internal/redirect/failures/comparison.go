// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package failures

import "time"

const (
	// maxLast is how many failures are told in words.
	maxLast = 3
	// lasting is how long after its first failure the registry of a mirror has to fail again, if it fails for one repository alone, to count.
	lasting = 30 * time.Second
)

// Change is one of the rules.
type Change struct {
	// Touched reports whether it touches images of a repository. It is called under a lock, and must not come back here.
	Touched func(host, repository string) bool
	// Before and After are the digests of the rules that it leads from and to. What failed by any others counts as nothing.
	Before, After string
	// At is when those that it leads to came into force.
	At time.Time
	// IsTried says that it is still to be seen whether the change may go on. Otherwise, what fails later than ten minutes after it counts as nothing.
	IsTried bool
}

// Comparison is of the failures since a change with those in as much time before it, but ten minutes at most, at its worst so far: what
// failed once has failed, though the time before the change looks no better where more of it counts.
type Comparison struct {
	// Refused are images, and PassedOver mirrors for a repository each. What failed in the ten minutes before the change and failed again since
	// is in both counts, because the kubelet may take that long to try a pull again.
	Refused, PassedOver Count
	// More is how many more failed than before. A pull that is refused for want of a mirror that fails is in both counts, so it is the larger
	// of the two differences; 0 where there is none.
	More int
	// Last are those that failed last of what did not fail before, in words.
	Last []string
	// Known is how much of the time before the change is known. A memory that has just begun knows nothing, and then all that fails is more than before:
	// so a change that is held back for nothing is looked at by somebody, and one that breaks pulls is not let through because the agent was
	// started anew.
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

// comparison is one that goes on.
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

// earlier is what failed before the change.
type earlier struct {
	first, last time.Time // before the change
	again       bool      // since it, too
}

// occasion is what the mirrors of a registry failed for.
type occasion struct {
	first        event
	repositories int
	lasts        bool // one failed again
}

// counts reports whether it is more than a moment of one repository, which any registry has.
func (o *occasion) counts() bool { return o.repositories > 1 || o.lasts }

func newComparison(change Change, since time.Time) *comparison {
	return &comparison{
		Change: change, known: min(span, max(0, change.At.Sub(since))),
		before: make(map[thing]*earlier), news: make(map[thing]bool), held: make(map[string]*occasion),
	}
}

// add counts a failure, and returns whether there is something to tell of it. What there is no room for would not help: there are more news by then than
// there can be failures from before.
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

// isRoomFor takes what has not failed since the change yet, and was not there before.
func (c *comparison) isRoomFor(e event) bool {
	if c.news[e.thing] || len(c.news) > most {
		return false
	}
	c.news[e.thing] = true
	return true
}

// addPassedOver holds a registry's first failure until it counts, and returns whether more count now.
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

// count takes a failure for news.
func (c *comparison) count(e event) {
	c.fresh.of(e.thing).After++
	c.last = append(c.last, e)
	if len(c.last) > maxLast {
		c.last = append(c.last[:0:0], c.last[1:]...)
	}
}

// judge compares as of a time, keeps that unless it was worse before, and returns whether there is something to tell.
func (c *comparison) judge(now time.Time) bool {
	compared := c.compare(now)
	if compared.More == 0 || compared.More < c.worst.More {
		return false
	}
	c.worst = compared // with what failed last
	return true
}

// asOf returns the comparison at a time, or as it was when it was worse.
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

// hold adds what a registry failed for before the change.
func hold(held map[string]*occasion, registry string, known *earlier) {
	o := held[registry]
	if o == nil {
		o = &occasion{}
		held[registry] = o
	}
	o.repositories++
	o.lasts = o.lasts || known.last.Sub(known.first) >= lasting
}
