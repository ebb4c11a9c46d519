// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package tries

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// world is a memory with everything that it reported.
type world struct {
	*Memory
	told []string
}

func newWorld() *world {
	w := &world{}
	began := time.Now()
	w.Memory = New(accesslog.New(), func(t Try) {
		later := map[bool]string{true: " a second later"}[t.At.Sub(began) == time.Second]
		w.told = append(w.told, fmt.Sprint(t.Mirror, " ", t.Outcome, later))
	})
	return w
}

// head is the account of a request that resolves the tag of a repository.
func (w *world) head(entry route.Entry) *Account {
	return w.Begin(Request{At: time.Now(), Method: http.MethodHead, Kind: "manifests", Repository: "s.com/x", Object: "1", Resolves: true, Entry: entry})
}

// logged returns the entries of the access log about all tries.
func (w *world) logged() (all []string) {
	for _, p := range w.log.Pulls() {
		for _, t := range p.Tries {
			all = append(all, fmt.Sprint(p.ID, " ", t.Place, " ", t.Outcome, " ", t.Requests))
		}
	}
	return all
}

func wants() Try { return Try{Mirror: "m.com", Repository: "m.com/x", Outcome: accesslog.Credentials} }

func serves() Try {
	return Try{Mirror: "m.com", Repository: "m.com/x", Outcome: accesslog.Served, At: time.Now()}
}

func sendsOn() Try {
	return Try{Mirror: "m.com", Repository: "m.com/x", Outcome: accesslog.CameBack, Why: "it answered 307"}
}

func fails() Try { return Try{Mirror: "n.com", Repository: "n.com/x", Outcome: accesslog.Error} }

func TestATryIsSettledByWhatContainerdDoesNext(t *testing.T) { // V2
	for name, c := range map[string]struct {
		does         func(w *world)
		told, logged []string
	}{
		"it is served at once": {func(w *world) {
			w.head("0").Tried(Try{Mirror: "m.com", Repository: "m.com/x", Outcome: accesslog.Served})
		}, []string{"m.com served"}, []string{"1 m.com/x served 1"}},
		"nobody comes back within a minute": {func(w *world) {
			w.head("0").Sent(wants())
			time.Sleep(59 * time.Second)
			w.Settle()
		}, nil, []string{"1 m.com/x sent 1"}},
		"nobody comes back": {func(w *world) {
			w.head("0").Sent(wants())
			time.Sleep(time.Minute)
			w.Settle()
			w.Settle()
		}, []string{"m.com sent"}, []string{"1 m.com/x sent 1"}},
		"another request comes a minute later": {func(w *world) {
			w.head("0").Sent(wants())
			time.Sleep(time.Minute)
			w.Begin(Request{At: time.Now(), Repository: "s.com/y", Entry: "0"})
		}, []string{"m.com sent"}, []string{"1 m.com/x sent 1"}},
		"it comes back at the next rank": {func(w *world) {
			w.head("0").Sent(wants())
			w.head("1").Sent(fails())
			w.head("2")
		}, []string{"m.com came_back", "n.com error"}, []string{"1 m.com/x came_back 1", "1 n.com/x error 1"}},
		"it comes back at the source":            {func(w *world) { w.head("0").Sent(wants()); w.head(route.Source) }, []string{"m.com came_back"}, []string{"1 m.com/x came_back 1"}},
		"it comes back after more than a minute": {func(w *world) { w.head("0").Sent(wants()); time.Sleep(time.Minute); w.head("1") }, []string{"m.com sent"}, []string{"1 m.com/x sent 1"}},
		"it asks for something else": {func(w *world) {
			w.head("0").Sent(wants())
			for _, r := range []Request{{Method: http.MethodGet, Kind: "manifests", Object: "1"}, {Method: http.MethodHead, Kind: "blobs", Object: "1"}, {Method: http.MethodHead, Kind: "manifests", Object: "2"}} {
				r.At, r.Repository, r.Entry = time.Now(), "s.com/x", "1"
				w.Begin(r)
			}
		}, nil, []string{"1 m.com/x sent 1"}},
		"it comes with credentials": {func(w *world) {
			w.head("0").Sent(wants())
			w.head("0").Sent(wants())
			w.head("1")
			w.head("2")
		}, []string{"m.com came_back"}, []string{"1 m.com/x came_back 1"}},
		"two pulls come with credentials at once": {func(w *world) {
			for range 4 {
				w.head("0").Sent(wants())
			}
			w.head("1")
			w.head("1")
			w.head("1")
		}, []string{"m.com came_back", "m.com came_back"}, []string{"1 m.com/x came_back 1", "2 m.com/x came_back 1"}},
		"another pull is a rank behind": {func(w *world) {
			w.head("0").Sent(fails())
			w.head("0").Sent(fails())
			w.head("1").Sent(wants())
			w.head("2")
		}, []string{"n.com error", "m.com came_back"}, []string{"1 n.com/x sent 1", "2 n.com/x error 1", "2 m.com/x came_back 1"}},
		"another pull has no credentials": {func(w *world) {
			w.head("0").Sent(wants())
			w.head("0").Sent(wants())
			w.head("0").Sent(wants())
			w.head(route.Source)
		}, []string{"m.com came_back"}, []string{"1 m.com/x sent 1", "2 m.com/x came_back 1"}},
		"nor has the one before": {func(w *world) {
			w.head("0").Sent(wants())
			time.Sleep(11 * time.Second)
			w.head("0").Sent(wants())
			w.head("0").Sent(wants())
			w.head(route.Source)
		}, []string{"m.com came_back"}, []string{"1 m.com/x came_back 1", "2 m.com/x sent 1"}},
		"another pull comes before the credentials do, which are bad": {func(w *world) {
			w.head("0").Sent(wants())
			w.head("0").Sent(wants())
			w.head("0").Sent(wants())
			w.head("1")
			w.head("0").Sent(wants())
			w.head("1")
		}, []string{"m.com came_back", "m.com came_back"}, []string{"1 m.com/x came_back 1", "2 m.com/x came_back 1"}},
		"one of two with bad credentials, and a third one": {func(w *world) {
			for range 4 {
				w.head("0").Sent(wants())
			}
			w.head("1")
			w.head("0").Sent(wants())
		}, []string{"m.com came_back"}, []string{"1 m.com/x sent 1", "2 m.com/x came_back 1", "3 m.com/x sent 1"}},
		"one without credentials at another rank, and a third one": {func(w *world) {
			w.head("0").Sent(wants())
			w.head("0").Sent(wants())
			w.head("0").GoesOn()
			w.head("1").Sent(wants())
			w.head("2")
			w.head("0").Sent(wants())
		}, []string{"m.com came_back"}, []string{"1 m.com/x sent 1", "2 m.com/x came_back 1", "3 m.com/x sent 1"}},
		"it comes back from where it was served": {func(w *world) { w.head("0").Sent(serves()); time.Sleep(time.Second); w.head("1") },
			[]string{"m.com served", "m.com error a second later"}, []string{"1 m.com/x error 1"}},
		"it is served, for all that is known": {func(w *world) { w.head("0").Sent(serves()); time.Sleep(time.Minute); w.Settle(); w.head("1") },
			[]string{"m.com served"}, []string{"1 m.com/x served 1"}},
		"another pull is not sent there any more": {func(w *world) {
			w.head("0").Sent(serves())
			w.head("0").GoesOn()
			w.head("1").GoesOn()
			w.head(route.Source)
			time.Sleep(time.Minute)
			w.Settle()
		}, []string{"m.com served"}, []string{"1 m.com/x served 1"}},
		"another pull is not sent there, and a third one comes back": {func(w *world) {
			w.head("0").Sent(serves())
			w.head("0").GoesOn()
			w.head("1")
			w.head("0").Sent(serves())
			w.head("1")
		}, []string{"m.com served", "m.com served", "m.com error"}, []string{"1 m.com/x served 1", "3 m.com/x error 1"}},
		"it is pulled again soon":                           {func(w *world) { w.head("0").Sent(wants()); time.Sleep(11 * time.Second); w.head("0").Sent(wants()) }, nil, []string{"1 m.com/x sent 1", "2 m.com/x sent 1"}},
		"a mirror that fails is not asked with credentials": {func(w *world) { w.head("0").Sent(fails()); w.head("0").Sent(fails()) }, nil, []string{"1 n.com/x sent 1", "2 n.com/x sent 1"}},
		"it comes back from a mirror that sends on":         {func(w *world) { w.head("0").Sent(sendsOn()); w.head("1") }, []string{"m.com came_back"}, []string{"1 m.com/x came_back 1"}},
		"nor is one that sends on":                          {func(w *world) { w.head("0").Sent(sendsOn()); w.head("0").Sent(sendsOn()) }, nil, []string{"1 m.com/x sent 1", "2 m.com/x sent 1"}},
		"one that is streamed refuses":                      {func(w *world) { w.head("0").Tried(wants()); w.head("1") }, []string{"m.com credentials"}, []string{"1 m.com/x credentials 1"}},
		"the source is the log's alone":                     {func(w *world) { w.head(route.Source).AtSource(Try{Repository: "s.com/x", Outcome: accesslog.Sent}) }, nil, []string{"1 s.com/x sent 1"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			c.does(w)
			if !slices.Equal(w.told, c.told) {
				t.Errorf("%s: told %q, want %q", name, w.told, c.told)
			}
			if got := w.logged(); !slices.Equal(got, c.logged) {
				t.Errorf("%s: logged %q, want %q", name, got, c.logged)
			}
		})
	}
}

func TestTriesThatWaitAreBounded(t *testing.T) {
	w := newWorld()
	now := time.Now()
	for i := range 2 * most {
		w.Begin(Request{At: now, Method: http.MethodGet, Kind: "blobs", Repository: fmt.Sprint("s.com/", i), Object: "1", Entry: "0"}).Sent(wants())
	}
	if len(w.queue) != most || len(w.byObject) != most || len(w.told) != most || w.told[0] != "m.com sent" {
		t.Errorf("%d tries wait, of %d objects, and %d are settled", len(w.queue), len(w.byObject), len(w.told))
	}
	for i := range most { // each comes back
		w.Begin(Request{At: now, Method: http.MethodGet, Kind: "blobs", Repository: fmt.Sprint("s.com/", most+i), Object: "1", Entry: "1"})
	}
	w.Settle()
	if len(w.queue) != 0 || len(w.byObject) != 0 || len(w.told) != 2*most || w.told[most] != "m.com came_back" {
		t.Errorf("%d tries wait, of %d objects, and %d are settled", len(w.queue), len(w.byObject), len(w.told))
	}
}

func TestOfTriesOfOneObjectEachIsSettledInItsPlace(t *testing.T) {
	w := newWorld()
	for i := range 4 {
		w.head("0").Sent(Try{Mirror: mirrors.Scope(fmt.Sprint(i, ".com")), Outcome: accesslog.Error})
	}
	for _, c := range []struct{ end, left string }{{"2.com", "0.com 1.com 3.com"}, {"0.com", "1.com 3.com"}, {"3.com", "1.com"}, {"1.com", ""}} {
		var left []string
		for _, waits := range w.queue {
			if string(waits.Mirror) == c.end {
				w.end(waits)
			}
		}
		for _, waits := range w.byObject[w.queue[0].object] {
			left = append(left, string(waits.Mirror))
		}
		if got := strings.Join(left, " "); got != c.left {
			t.Errorf("after %s: left %q, want %q", c.end, got, c.left)
		}
	}
	if len(w.byObject) != 0 {
		t.Errorf("%d objects are left", len(w.byObject))
	}
}

func TestToSettleATryCopiesNothing(t *testing.T) {
	w := newWorld()
	for range most { // all of one object
		w.Begin(Request{At: time.Now(), Method: http.MethodGet, Kind: "blobs", Repository: "s.com/x", Object: "1", Entry: "0"}).Sent(fails())
	}
	if n := testing.AllocsPerRun(most-2, func() { w.end(w.queue[0]); w.queue = w.queue[1:] }); n != 0 || len(w.queue) != 1 {
		t.Errorf("it takes %g allocations, and %d are left", n, len(w.queue))
	}
}

func TestWhatWouldBeRefusedHasTheNameThatWasResolved(t *testing.T) { // V5
	a, b := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	const head, get, blob = "HEAD manifests", "GET manifests", "GET blobs"
	type asked struct {
		what, object string
		after        time.Duration
		want         string
	}
	for name, requests := range map[string][]asked{
		"a pull by tag":                      {{head, "1", 0, "s.com/x:1"}, {get, a, 0, "s.com/x:1"}, {blob, b, 0, "s.com/x:1"}},
		"a pull by digest":                   {{head, a, 0, "s.com/x@" + a}, {get, a, 0, "s.com/x@" + a}, {blob, b, 0, "s.com/x@" + a}},
		"a manifest that nobody resolved":    {{get, a, 0, "s.com/x@" + a}},
		"a tag that nobody resolved":         {{get, "2", 0, "s.com/x:2"}},
		"a blob that nobody resolved":        {{blob, a, 0, "s.com/x"}, {blob, b, 0, "s.com/x"}},
		"a tag beside another one":           {{head, "1", 0, "s.com/x:1"}, {get, "2", 0, "s.com/x:2"}},
		"two tags at once":                   {{head, "1", 0, "s.com/x:1"}, {head, "2", 0, "s.com/x:2"}, {get, a, 0, "s.com/x@" + a}, {blob, b, 0, "s.com/x"}, {get, "1", 0, "s.com/x:1"}},
		"a tag and a digest at once":         {{head, "1", 0, "s.com/x:1"}, {head, a, 0, "s.com/x@" + a}, {get, a, 0, "s.com/x@" + a}, {get, b, 0, "s.com/x@" + b}},
		"one tag twice at once":              {{head, "1", 0, "s.com/x:1"}, {head, "1", 0, "s.com/x:1"}, {get, a, 0, "s.com/x:1"}},
		"one after what nobody resolved":     {{blob, b, 0, "s.com/x"}, {head, "1", 0, "s.com/x:1"}, {get, a, 0, "s.com/x@" + a}},
		"one tag a minute after another one": {{head, "1", 0, "s.com/x:1"}, {head, "2", 61 * time.Second, "s.com/x:2"}, {get, a, 0, "s.com/x:2"}, {blob, b, 0, "s.com/x:2"}},
	} {
		w, now := newWorld(), time.Now()
		beside := Request{At: now, Method: http.MethodHead, Kind: "manifests", Repository: "s.com/y", Object: "1", Resolves: true, Entry: route.Source}
		w.Begin(beside) // which has no say
		for _, r := range requests {
			now = now.Add(r.after)
			method, kind, _ := strings.Cut(r.what, " ")
			account := w.Begin(Request{At: now, Method: method, Kind: kind, Repository: "s.com/x", Object: r.object, Resolves: r.what == head, Entry: route.Source})
			if got := account.WouldRefuse("a, b", r.what == blob); got != r.want {
				t.Errorf("%s: %s of %s: got %s", name, r.what, r.object, got)
			}
		}
		if p := w.log.Pulls()[1]; p.WouldRefuse != "a, b" {
			t.Errorf("%s: the log says %+v", name, p)
		}
	}
}

func TestWhereNoTryWaitsToGoOnLeavesNothing(t *testing.T) {
	w := newWorld()
	w.head("0").GoesOn()
	if len(w.queue) != 0 || len(w.byObject) != 0 {
		t.Errorf("%d tries wait", len(w.queue))
	}
}
