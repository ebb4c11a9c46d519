// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package failures

import "time"

// maxLast is how many failures are told in words.
const maxLast = 3

// Comparison is of the failures since a change with those in as much time before it, ten minutes at most on either side, at its worst so far: what
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
	touched func(host, repository string) bool
	changed time.Time
	known   time.Duration

	before map[thing]*earlier
	news   map[thing]bool // what failed since the change, and not before
	fresh  Comparison     // counts the news alone
	last   []event        // of these, each once
	worst  Comparison
}

// earlier is what failed before the change.
type earlier struct {
	last  time.Time // before the change
	again bool      // since it, too
}

func newComparison(touched func(host, repository string) bool, changed, since time.Time) *comparison {
	return &comparison{
		touched: touched, changed: changed, known: min(span, max(0, changed.Sub(since))),
		before: make(map[thing]*earlier), news: make(map[thing]bool),
	}
}

// add counts a failure, and returns whether there is something to tell of it. What there is no room for would not help: there are more news by then than
// there can be failures from before.
func (c *comparison) add(e event) (tells bool) {
	after := e.at.Sub(c.changed)
	if after < -span || after >= span || !c.touched(e.host, e.repository) {
		return false
	}
	known := c.before[e.thing]
	switch {
	case after < 0 && known != nil:
		known.last = e.at
	case after < 0 && len(c.before) < most: // a change may have come while it was asked for
		c.before[e.thing] = &earlier{last: e.at}
	case after < 0:
	case known != nil && known.again:
	case known != nil: // so it does not stand for another one that failed only since
		known.again = true
		return c.judge(e.at)
	case !c.news[e.thing] && len(c.news) <= most:
		c.news[e.thing] = true
		c.fresh.of(e.thing).After++
		c.last = append(c.last, e)
		if len(c.last) > maxLast {
			c.last = append(c.last[:0:0], c.last[1:]...)
		}
		return c.judge(e.at)
	}
	return false
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
	from := c.changed.Add(c.changed.Sub(now)) // add has left out what is more than ten minutes away
	for t, known := range c.before {
		switch {
		case known.again:
			compared.of(t).Before++
			compared.of(t).After++
		case !known.last.Before(from):
			compared.of(t).Before++
		}
	}
	for _, e := range c.last {
		compared.Last = append(compared.Last, e.text)
	}
	compared.More = max(0, compared.Refused.After-compared.Refused.Before, compared.PassedOver.After-compared.PassedOver.Before)
	return compared
}
