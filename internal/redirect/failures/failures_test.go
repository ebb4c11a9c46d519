// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func everything(string, string) bool { return true }

// changeAt is a change that touches everything, and replaces the rules "old" with "new".
func changeAt(at time.Time) Change {
	return Change{Touched: everything, Before: "old", After: "new", At: at}
}

// rulesAt returns the rules that answer a request this long after the change.
func rulesAt(after time.Duration) string {
	if after < 0 {
		return "old"
	}
	return "new"
}

// refused is the refusal of an image by tag.
func refused(tag string) Failure {
	return Failure{Host: "s.com", Repository: "x", Object: tag, Why: "blocked"}
}

func passed(repository, mirror string) Failure {
	return Failure{Host: "s.com", Repository: repository, Object: "1", Mirror: mirror + ".com/" + repository, Why: "it answered 503"}
}

// script notes failures at times, in seconds from the change, and compares at the end. The memory begins at its first time.
type script struct {
	begins time.Duration
	events []noted
	ends   time.Duration
}

type noted struct {
	at time.Duration
	Failure
}

// run compares at each failure since the change if the change is watched, and otherwise only at the end.
func (s script) run(t *testing.T, watched bool) (c Comparison) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		changed := time.Now().Add(-s.begins * time.Second)
		until := func(at time.Duration) { time.Sleep(time.Until(changed.Add(at * time.Second))) }
		m := New(func() {})
		for _, e := range s.events {
			if until(e.at); watched && e.at >= 0 {
				m.Compare(changeAt(changed))
			}
			e.At, e.Rules = time.Now(), cmp.Or(e.Rules, rulesAt(e.at))
			m.Note(e.Failure)
		}
		until(s.ends)
		c = m.Compare(changeAt(changed))
		synctest.Wait()
		time.Sleep(2 * wakes) // for the timers
	})
	return c
}

func TestFailuresSinceAChangeAreComparedWithAsMuchTimeBefore(t *testing.T) {
	for name, c := range map[string]struct {
		script
		refused, passedOver Count
		more                int
	}{
		"nothing":                    {script{-900, nil, 60}, Count{}, Count{}, 0},
		"refused since":              {script{-900, []noted{{5, refused("1")}}, 60}, Count{0, 1}, Count{}, 1},
		"refused before":             {script{-900, []noted{{-5, refused("1")}}, 60}, Count{1, 0}, Count{}, 0},
		"at the very moment":         {script{-900, []noted{{0, refused("1")}}, 60}, Count{0, 1}, Count{}, 1},
		"one for another":            {script{-900, []noted{{-5, refused("1")}, {5, refused("2")}}, 60}, Count{1, 1}, Count{}, 0},
		"two for one":                {script{-900, []noted{{-5, refused("1")}, {6, refused("2")}, {7, refused("3")}}, 60}, Count{1, 2}, Count{}, 1},
		"before, and again before":   {script{-900, []noted{{-70, refused("1")}, {-5, refused("1")}, {5, refused("2")}}, 60}, Count{1, 1}, Count{}, 0},
		"less of both":               {script{-900, []noted{{-6, refused("1")}, {-5, passed("x", "m")}, {-5, passed("y", "m")}}, 60}, Count{1, 0}, Count{2, 0}, 0},
		"longer before than since":   {script{-900, []noted{{-70, refused("1")}, {5, refused("2")}}, 60}, Count{0, 1}, Count{}, 1},
		"tried again after minutes":  {script{-900, []noted{{-290, refused("1")}, {10, refused("1")}}, 60}, Count{1, 1}, Count{}, 0},
		"a mirror, longer ago":       {script{-900, []noted{{-290, passed("x", "m")}, {10, passed("x", "m")}}, 60}, Count{}, Count{1, 1}, 0},
		"a mirror, once":             {script{-900, []noted{{1, passed("x", "m")}, {20, passed("x", "m")}, {30, passed("x", "m")}}, 60}, Count{}, Count{}, 0},
		"again after half a minute":  {script{-900, []noted{{1, passed("x", "m")}, {31, passed("x", "m")}, {61, passed("x", "m")}}, 80}, Count{}, Count{0, 1}, 1},
		"two mirrors, once each":     {script{-900, []noted{{1, passed("x", "m")}, {2, passed("y", "n")}}, 60}, Count{}, Count{}, 0},
		"a mirror, once, before":     {script{-900, []noted{{-5, passed("x", "m")}, {1, passed("x", "n")}, {32, passed("x", "n")}}, 60}, Count{}, Count{0, 1}, 1},
		"and twice before":           {script{-900, []noted{{-45, passed("x", "m")}, {-5, passed("x", "m")}, {1, passed("x", "n")}, {32, passed("x", "n")}}, 60}, Count{}, Count{1, 1}, 0},
		"two repositories before":    {script{-900, []noted{{-6, passed("x", "m")}, {-5, passed("y", "m")}, {1, passed("x", "n")}, {32, passed("x", "n")}}, 60}, Count{}, Count{2, 1}, 0},
		"tried again and another":    {script{-900, []noted{{-290, refused("1")}, {10, refused("1")}, {11, refused("2")}}, 60}, Count{1, 2}, Count{}, 1},
		"another, and again":         {script{-900, []noted{{-5, refused("1")}, {11, refused("2")}, {20, refused("1")}, {30, refused("1")}}, 60}, Count{1, 2}, Count{}, 1},
		"more than ten minutes ago":  {script{-900, []noted{{-601, refused("1")}, {1, refused("1")}}, 60}, Count{0, 1}, Count{}, 1},
		"ten minutes later":          {script{-900, []noted{{600, refused("1")}}, 700}, Count{}, Count{}, 0},
		"a moment less":              {script{-900, []noted{{599, refused("1")}}, 700}, Count{0, 1}, Count{}, 1},
		"often":                      {script{-900, []noted{{1, refused("1")}, {12, refused("1")}, {30, refused("1")}}, 60}, Count{0, 1}, Count{}, 1},
		"another mirror":             {script{-900, []noted{{-5, passed("x", "m")}, {1, passed("x", "m")}, {2, passed("x", "n")}, {33, passed("x", "n")}}, 60}, Count{}, Count{1, 2}, 1},
		"another repository":         {script{-900, []noted{{1, passed("x", "m")}, {2, passed("y", "m")}}, 60}, Count{}, Count{0, 2}, 2},
		"a refusal is another thing": {script{-900, []noted{{-5, passed("x", "m")}, {1, passed("x", "m")}, {2, refused("1")}}, 60}, Count{0, 1}, Count{1, 1}, 1},
		"both of one pull":           {script{-900, []noted{{1, passed("x", "m")}, {2, refused("1")}, {40, passed("x", "m")}}, 60}, Count{0, 1}, Count{0, 1}, 1},
		"worst, and then no more":    {script{-900, []noted{{-30, refused("1")}, {5, refused("2")}}, 60}, Count{0, 1}, Count{}, 1},
		"never more":                 {script{-900, []noted{{-5, refused("1")}, {10, refused("2")}}, 60}, Count{1, 1}, Count{}, 0},
	} {
		for _, watched := range []bool{true, false} {
			if got := c.run(t, watched); got.Refused != c.refused || got.PassedOver != c.passedOver || got.More != c.more || got.Known != span {
				t.Errorf("%s, watched %t: got %+v", name, watched, got)
			}
		}
	}
}

func TestLessIsKnownOfTheTimeBeforeAStart(t *testing.T) {
	for begins, want := range map[time.Duration]time.Duration{-30: 30 * time.Second, -599: 599 * time.Second, -601: span, 20: 0} {
		if got := (script{begins, []noted{{25, refused("1")}}, 60}).run(t, false); got.Known != want || got.More != 1 {
			t.Errorf("begins at %d: got %+v", begins, got)
		}
	}
}

func TestOfOnePullEverythingIsOneThing(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	manifest := Failure{Host: "s.com", Repository: "x", Object: digest}
	blob := func(object string) Failure {
		return Failure{Host: "s.com", Repository: "x", Object: object, IsBlob: true}
	}
	layers := []noted{{1, blob("sha256:1")}, {2, blob("sha256:2")}, {40, blob("sha256:3")}}
	if got := (script{-900, layers, 60}).run(t, true); got.Refused.After != 1 || len(got.Last) != 1 || !strings.HasPrefix(got.Last[0], "a blob of s.com/x: ") {
		t.Errorf("layers: %+v", got)
	}
	again := []noted{{1, manifest}, {1, blob(digest)}, {2, manifest}, {30, blob(digest)}}
	if got := (script{-900, again, 60}).run(t, true); got.Refused.After != 1 || got.Last[0] != "s.com/x@"+digest+": " {
		t.Errorf("a digest that is asked for as a blob, too: %+v", got)
	}
	mirror := []noted{{1, passed("x", "m")}, {1, Failure{Host: "s.com", Repository: "x", Object: digest, Mirror: "m.com/x"}}, {39, Failure{Host: "s.com", Repository: "x", Object: "sha256:1", IsBlob: true, Mirror: "m.com/x"}}}
	if got := (script{-900, mirror, 60}).run(t, true); got.PassedOver.After != 1 || got.Last[0] != "a blob of s.com/x@sha256:1: mirror m.com/x: " && got.Last[0] != "a blob of s.com/x: mirror m.com/x: " {
		t.Errorf("a tag and what it names: %+v", got)
	}
}

func TestOnlyWhatAChangeTouchesCounts(t *testing.T) {
	changed := time.Now()
	m := New(func() {})
	for _, f := range []Failure{passed("x/in", "m"), passed("y", "m"), {Host: "t.com", Repository: "x/in", Object: "1"}} {
		f.At, f.Rules = changed.Add(time.Second), "new"
		m.Note(f)
		f.At = f.At.Add(lasting)
		m.Note(f)
	}
	touched := func(host, repository string) bool { return host == "s.com" && strings.HasPrefix(repository, "x/") }
	if got := m.Compare(Change{touched, "old", "new", changed, false}); got.PassedOver.After != 1 || got.Refused.After != 0 {
		t.Errorf("got %+v", got)
	}
	if got := m.Compare(changeAt(changed.Add(time.Hour))); got.More != 0 {
		t.Errorf("another change: got %+v", got)
	}
	if got := m.Compare(changeAt(changed.Add(-time.Hour))); got.PassedOver.After != 0 {
		t.Errorf("a change long ago: got %+v", got)
	}
}

func TestARequestCountsForTheRulesThatItWasAnsweredBy(t *testing.T) {
	changed := time.Now()
	m := New(func() {})
	m.Compare(changeAt(changed))
	slow := refused("1")
	slow.Rules, slow.At = "old", changed.Add(-time.Second) // and is over only now
	m.Note(slow)
	if got := m.Compare(changeAt(changed)); got.Refused != (Count{0, 0}) && got.Refused != (Count{1, 0}) || got.More != 0 {
		t.Errorf("got %+v", got)
	}
	next := refused("1")
	next.Rules, next.At = "new", changed.Add(time.Second) // as much as needed to be the same one, but for the change
	m.Note(next)
	if got := m.Compare(changeAt(changed)); got.Refused != (Count{1, 1}) {
		t.Errorf("and once more: got %+v", got)
	}
	told := refused("2")
	for _, after := range []time.Duration{time.Second, -time.Second} {
		told.At, told.Rules = changed.Add(after), rulesAt(after)
		m.Note(told)
	}
	if got := m.Compare(changeAt(changed)); got.Refused != (Count{1, 2}) || m.watched.compare(changed.Add(time.Minute)).More != 0 {
		t.Errorf("once it is told, which is not taken back: got %+v", got)
	}
}

func TestTheLastThreeAreTold(t *testing.T) {
	var events []noted
	for i := range 5 {
		events = append(events, noted{time.Duration(i + 1), refused(fmt.Sprint(i))})
	}
	events = append(events, noted{30, refused("4")}, noted{-5, refused("old")}, noted{40, refused("old")})
	slices.SortFunc(events, func(a, b noted) int { return int(a.at - b.at) })
	if got := (script{-900, events, 60}).run(t, true).Last; !slices.Equal(got, []string{"s.com/x:2: blocked", "s.com/x:3: blocked", "s.com/x:4: blocked"}) {
		t.Errorf("got %q", got)
	}
	long := refused("1")
	long.Why = strings.Repeat("ä", maxText)
	if got := text(long); len(got) > maxText+3 || !utf8.ValidString(got) || !strings.HasSuffix(got, "ä...") {
		t.Errorf("got %q", got)
	}
}

func TestTheOldestAreForgottenFirst(t *testing.T) {
	changed := time.Now()
	m := New(func() {})
	note := func(at time.Duration, tag string) {
		f := refused(tag)
		f.At, f.Rules = changed.Add(at), rulesAt(at)
		m.Note(f)
	}
	note(-time.Minute, "first")
	for i := range most {
		note(-time.Second, fmt.Sprint(i))
	}
	if len(m.events) != most || len(m.latest) != most {
		t.Fatalf("%d are kept, and %d known", len(m.events), len(m.latest))
	}
	m.Compare(changeAt(changed))
	note(time.Second, "first") // which is taken for new
	if got := m.watched; len(got.news) != 1 || len(got.before) != most {
		t.Errorf("%d new, %d before", len(got.news), len(got.before))
	}

	changed = changed.Add(time.Hour) // for which there is nothing to compare with yet
	for m.Compare(changeAt(changed)); len(m.watched.news) <= most; {
		note(time.Minute, fmt.Sprint("new", len(m.watched.news)))
	}
	note(time.Minute, "one more")
	for i := range most + 1 {
		note(-time.Millisecond, fmt.Sprint("late", i))
	}
	if got := m.watched.compare(changed); len(m.events) != most || got.Refused != (Count{0, most + 1}) || len(m.watched.before) != most {
		t.Errorf("%d are kept, %d before, got %+v", len(m.events), len(m.watched.before), got)
	}
	if got := m.watched.compare(changed.Add(time.Second)); got.More != 1 { // however many failed before
		t.Errorf("got %+v", got)
	}
}

func TestWhatIsOverIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(func() {})
		for i := range 10 {
			f := refused(fmt.Sprint(i))
			f.At = time.Now()
			m.Note(f)
			time.Sleep(time.Second)
			m.Note(f) // the same one
		}
		if len(m.events) != 10 {
			t.Errorf("%d are kept", len(m.events))
		}
		time.Sleep(span)
		last := refused("last")
		last.At = time.Now()
		if m.Note(last); len(m.events) != 1 || len(m.latest) != 1 {
			t.Errorf("%d are kept, and %d known", len(m.events), len(m.latest))
		}
	})
}
