// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// after is a time, in seconds from the start.
func after(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// tried is a try of a mirror for one of its repositories, in seconds from the start.
type tried struct {
	at         int
	repository string
	outcome    accesslog.Outcome
}

const (
	silent  = accesslog.Silent
	refuses = accesslog.Credentials
	fails   = accesslog.Error
	wrong   = accesslog.WrongContent
	served  = accesslog.Served
	missing = accesslog.Missing
	sent    = accesslog.Sent
	back    = accesslog.CameBack
)

// note records tries of a mirror, and returns how often the memory reported a change of the faults.
func note(m *Memory, mirror mirrors.Scope, tries ...tried) {
	for _, t := range tries {
		m.Note(Try{Mirror: mirror, Repository: t.repository, Outcome: t.outcome, Why: string(t.outcome), At: after(t.at)})
	}
}

func TestAMirrorThatFailsForAMinuteIsAtFault(t *testing.T) { // V7
	for name, c := range map[string]struct {
		tries []tried
		now   int
		want  string // the state and since when; empty for no fault
		told  int    // how often the faults became others
	}{
		"nothing was tried":                           {nil, 0, "", 0},
		"it is silent once":                           {[]tried{{0, "a", silent}}, 300, "", 0},
		"twice, a moment apart":                       {[]tried{{0, "a", silent}, {59, "a", silent}}, 300, "", 0},
		"twice, a minute apart":                       {[]tried{{0, "a", silent}, {60, "a", silent}}, 60, "Silent since 0", 1},
		"it refuses":                                  {[]tried{{0, "a", refuses}, {61, "a", refuses}}, 61, "Refuses since 0", 1},
		"it fails":                                    {[]tried{{0, "a", fails}, {61, "a", fails}}, 61, "Fails since 0", 1},
		"it has other content":                        {[]tried{{0, "a", wrong}, {61, "a", wrong}}, 61, "Fails since 0", 1},
		"it fails in several ways":                    {[]tried{{0, "a", fails}, {61, "a", silent}}, 61, "Silent since 0", 1},
		"and in another one a moment later":           {[]tried{{0, "a", fails}, {61, "a", silent}, {70, "a", fails}}, 70, "Silent since 0", 1},
		"and in another one after ten minutes":        {[]tried{{0, "a", fails}, {61, "a", silent}, {600, "a", fails}, {661, "a", fails}}, 661, "Fails since 0", 2},
		"it served meanwhile":                         {[]tried{{0, "a", silent}, {30, "a", served}, {60, "a", silent}}, 60, "", 0},
		"a minute after it served":                    {[]tried{{0, "a", silent}, {30, "a", served}, {60, "a", silent}, {120, "a", silent}}, 120, "Silent since 60", 1},
		"it answered 404 meanwhile":                   {[]tried{{0, "a", silent}, {30, "a", missing}, {60, "a", silent}}, 60, "", 0},
		"containerd comes back, again and again":      {[]tried{{0, "a", back}, {61, "b", back}, {120, "a", back}}, 120, "", 0},
		"it comes back between failures":              {[]tried{{0, "a", silent}, {30, "a", back}, {60, "a", silent}}, 60, "Silent since 0", 1},
		"nobody knows what came of one":               {[]tried{{0, "a", silent}, {30, "a", sent}, {60, "a", silent}}, 60, "Silent since 0", 1},
		"it serves again":                             {[]tried{{0, "a", silent}, {60, "a", silent}, {61, "b", served}}, 61, "", 2},
		"it answers 404 again":                        {[]tried{{0, "a", silent}, {60, "a", silent}, {61, "a", missing}}, 61, "", 2},
		"ten minutes after the last try":              {[]tried{{0, "a", silent}, {60, "a", silent}}, 660, "", 1},
		"a moment less":                               {[]tried{{0, "a", silent}, {60, "a", silent}}, 659, "Silent since 0", 1},
		"the next try is ten minutes later":           {[]tried{{0, "a", silent}, {60, "a", silent}, {660, "a", silent}}, 660, "", 1},
		"and another one a minute later":              {[]tried{{0, "a", silent}, {60, "a", silent}, {660, "a", silent}, {720, "a", silent}}, 720, "Silent since 660", 2},
		"one repository fails, another one is served": {[]tried{{0, "b", served}, {1, "a", fails}, {61, "a", fails}, {100, "a", fails}}, 100, "", 0},
		"until the other one fails too":               {[]tried{{0, "b", served}, {1, "a", fails}, {61, "a", fails}, {62, "b", fails}}, 62, "Fails since 1", 1},
		"or was served long ago":                      {[]tried{{0, "b", served}, {1, "a", fails}, {300, "a", fails}, {599, "a", fails}}, 600, "Fails since 1", 0},
		"a repository fails that was served":          {[]tried{{0, "a", served}, {1, "a", fails}, {61, "a", fails}}, 61, "Fails since 1", 1},
		"a try from before it served comes late":      {[]tried{{0, "a", fails}, {70, "a", served}, {60, "a", fails}}, 70, "", 0},
		"tries from before it served come late":       {[]tried{{0, "a", fails}, {70, "a", served}, {1, "a", fails}, {65, "a", fails}}, 70, "", 0},
		"a try that served comes late":                {[]tried{{10, "a", fails}, {70, "a", fails}, {5, "a", served}}, 70, "Fails since 10", 1},
		"tries come in another order":                 {[]tried{{60, "a", fails}, {0, "a", fails}}, 60, "Fails since 0", 1},
	} {
		told := 0
		m := New(func() { told++ })
		note(m, "m.com/q", c.tries...)
		got := ""
		if all := m.Faults(after(c.now)); len(all) == 1 {
			got = fmt.Sprintf("%s since %.0f", all[0].State, all[0].Since.Sub(start).Seconds())
		} else if len(all) > 1 {
			t.Errorf("%s: got %+v", name, all)
		}
		if got != c.want || told != c.told {
			t.Errorf("%s: got %q, told %d times; want %q, told %d times", name, got, told, c.want, c.told)
		}
	}
}

func TestAFaultKeepsItsWordsForAWhile(t *testing.T) {
	told := 0
	m := New(func() { told++ })
	why := func(at int, text string) string {
		m.Note(Try{Mirror: "m.com", Repository: "a", Outcome: wrong, Why: text, At: after(at)})
		if all := m.Faults(after(at)); len(all) == 1 {
			return all[0].Why
		}
		return ""
	}
	for _, c := range []struct {
		at         int
		text, want string
		told       int
	}{{0, "first", "", 0}, {60, "its manifest\n is another one", "its manifest is another one", 1}, {300, "third", "its manifest is another one", 1}, {659, "fourth", "its manifest is another one", 1}, {660, "fifth", "fifth", 2}, {1300, "fifth", "", 2}} {
		if got := why(c.at, c.text); got != c.want || told != c.told {
			t.Errorf("at %d: got %q, told %d times", c.at, got, told)
		}
	}
	why(2000, "x")
	if got := why(2060, strings.Repeat("ä", maxWhy)); len(got) > maxWhy+len("...") || !strings.HasSuffix(got, "ä...") || !utf8.ValidString(got) {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-8:])
	}
}

func TestTheFaultsOfMirrorsThatNoRuleNamesAreForgotten(t *testing.T) {
	told := 0
	m := New(func() { told++ })
	for _, mirror := range []mirrors.Scope{"m.com", "m.com/q", "n.com"} {
		note(m, mirror, tried{0, "a", silent}, tried{60, "a", silent})
	}
	note(m, "o.com", tried{0, "a", silent}, tried{60, "a", served})
	m.Keep(slices.Values([]mirrors.Scope{"n.com", "m.com/q", "p.com"}))
	if all := m.Faults(after(60)); len(all) != 2 || all[0].Mirror != "m.com/q" || all[1].Mirror != "n.com" || told != 4 {
		t.Errorf("got %+v, told %d times", all, told)
	}
	m.Keep(slices.Values([]mirrors.Scope{"n.com", "m.com/q"}))
	if told != 4 {
		t.Error("rules that change nothing are told of")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := New(func() {})
	for i := range 3 * maxMirrors {
		note(m, mirrors.Scope(fmt.Sprintf("m%04d.com", i)), tried{i, "a", silent}, tried{i + 60, "a", silent})
	}
	if n := len(m.byMirror); n != maxMirrors {
		t.Errorf("%d mirrors", n)
	}
	all := m.Faults(after(3*maxMirrors + 59))
	if len(all) != maxFaults || all[0].Mirror != "m2472.com" || all[maxFaults-1].Mirror != "m2521.com" {
		t.Errorf("%d faults, from %+v to %+v", len(all), all[0], all[len(all)-1])
	}
}

func TestManyTryAtOnce(t *testing.T) {
	var m *Memory
	m = New(func() { m.Faults(after(100)) })
	var trying sync.WaitGroup
	for i := range 8 {
		trying.Go(func() {
			for j := range 200 {
				note(m, mirrors.Scope(fmt.Sprintf("m%d.com", j%5)), tried{j, fmt.Sprint(i), silent})
				m.Keep(slices.Values([]mirrors.Scope{"m0.com", "m1.com", "m2.com", "m3.com"}))
			}
		})
	}
	trying.Wait()
	if got := len(m.Faults(after(200))); got != 4 {
		t.Errorf("%d faults", got)
	}
}
