// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// resolve is the first request of containerd, to the first place, and fetch is a later request.
func resolve(repository, object string, after time.Duration) Request {
	return Request{At: noon.Add(after), Repository: repository, Object: object, Resolves: true}
}

func fetch(repository, object string, after time.Duration) Request {
	return Request{At: noon.Add(after), Repository: repository, Object: object}
}

func TestRequestsBelongToThePullThatTheyGoOnWith(t *testing.T) { // V1
	second := time.Second
	atRank := func(r Request, rank int) Request { r.Rank = rank; return r }
	again := func(r Request) Request { r.Repeats = true; return r }
	digest := "sha256:" + strings.Repeat("a", 64)
	for name, c := range map[string]struct {
		requests []Request
		pulls    []uint64 // of each request
		images   []string
	}{
		"one pull":                         {[]Request{resolve("s.com/x", "1", 0), fetch("s.com/x", "sha256:1", second), fetch("s.com/x", "sha256:2", 50*second)}, []uint64{1, 1, 1}, []string{"s.com/x:1"}},
		"one by digest":                    {[]Request{resolve("s.com/x", digest, 0), fetch("s.com/x", digest, second)}, []uint64{1, 1}, []string{"s.com/x@" + digest}},
		"a name that is asked for further": {[]Request{resolve("s.com/x", "1", 0), atRank(resolve("s.com/x", "1", second), 1), atRank(resolve("s.com/x", "1", second), 9)}, []uint64{1, 1, 1}, []string{"s.com/x:1"}},
		"two of one image": {[]Request{resolve("s.com/x", "1", 0), resolve("s.com/x", "1", 0), atRank(resolve("s.com/x", "1", second), 1), atRank(resolve("s.com/x", "1", second), 1)},
			[]uint64{1, 2, 2, 2}, []string{"s.com/x:1", "s.com/x:1"}},
		"two of one repository": {[]Request{resolve("s.com/x", "1", 0), resolve("s.com/x", "2", 0), atRank(resolve("s.com/x", "1", second), 1), fetch("s.com/x", digest, second)},
			[]uint64{1, 2, 1, 2}, []string{"s.com/x:1", "s.com/x:2"}},
		"two that begin at the source": {[]Request{atRank(resolve("s.com/x", "1", 0), 9), atRank(resolve("s.com/x", "1", second), 9)}, []uint64{1, 2}, []string{"s.com/x:1", "s.com/x:1"}},
		"one with credentials":         {[]Request{resolve("s.com/x", "1", 0), again(resolve("s.com/x", "1", second))}, []uint64{1, 1}, []string{"s.com/x:1"}},
		"one that is tried again":      {[]Request{resolve("s.com/x", "1", 0), resolve("s.com/x", "1", second)}, []uint64{1, 2}, []string{"s.com/x:1", "s.com/x:1"}},
		"one that nobody resolved":     {[]Request{fetch("s.com/x", digest, 0), fetch("s.com/x", digest, 60*second)}, []uint64{1, 1}, []string{"s.com/x"}},
		"a layer after a long time":    {[]Request{resolve("s.com/x", "1", 0), fetch("s.com/x", digest, 61*second)}, []uint64{1, 2}, []string{"s.com/x:1", "s.com/x"}},
		"a rank after a long time":     {[]Request{resolve("s.com/x", "1", 0), atRank(resolve("s.com/x", "1", 61*second), 1)}, []uint64{1, 2}, []string{"s.com/x:1", "s.com/x:1"}},
		"two repositories":             {[]Request{resolve("s.com/x", "1", 0), resolve("s.com/y", "1", 0), fetch("s.com/x", digest, second)}, []uint64{1, 2, 1}, []string{"s.com/x:1", "s.com/y:1"}},
		"a control character inside":   {[]Request{resolve("s.com/x", "1\n\x1b[2J", 0)}, []uint64{1}, []string{"s.com/x:1  [2J"}},
	} {
		l := New()
		for i, r := range c.requests {
			if got := l.Begin(r); got != c.pulls[i] {
				t.Errorf("%s: request %d belongs to pull %d, want %d", name, i+1, got, c.pulls[i])
			}
		}
		var images []string
		for i, p := range l.Pulls() {
			images = append(images, p.Image)
			if p.ID != uint64(i+1) {
				t.Errorf("%s: pull %d has ID %d", name, i+1, p.ID)
			}
		}
		if !reflect.DeepEqual(images, c.images) {
			t.Errorf("%s: images %q, want %q", name, images, c.images)
		}
	}
}

func TestAPullTellsWhatItCameTo(t *testing.T) {
	l := New()
	pull := l.Begin(resolve("s.com/x", "1", 0))
	missing := Tries{Place: "m.com/x", Outcome: Missing, Requests: 1, Why: "it answered 404", Took: time.Millisecond}
	sent := Tries{Place: "n.com/x", Outcome: Sent, Requests: 1, Why: "it answered 401", Took: time.Millisecond}
	served := Tries{Place: "n.com/x", Outcome: Served, Requests: 1, Bytes: 7, Took: time.Millisecond}
	l.Tried(pull, missing)
	l.Tried(pull, sent)
	l.Begin(fetch("s.com/x", "sha256:1", time.Second))
	l.Tried(pull, sent)
	l.Tried(pull, served)
	l.Tried(pull, served)
	l.Settled(pull, sent, CameBack, "it answered 401, and containerd came back")
	l.Refused(pull, "source s.com is blocked", "a, b")
	l.WouldRefuse(pull, "c")
	want := []Pull{{
		ID: 1, Began: noon, Last: noon.Add(time.Second), Image: "s.com/x:1", Refusal: "source s.com is blocked", RefusedBy: "a, b", WouldRefuse: "c",
		Tries: []Tries{
			missing, sent,
			{Place: "n.com/x", Outcome: Served, Requests: 2, Bytes: 14, Took: 2 * time.Millisecond},
			{Place: "n.com/x", Outcome: CameBack, Requests: 1, Why: "it answered 401, and containerd came back", Took: time.Millisecond},
		},
	}}
	got := l.Pulls()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
	l.Settled(pull, sent, CameBack, "")
	if tries := l.Pulls()[0].Tries; len(tries) != 3 || tries[2].Requests != 2 {
		t.Errorf("after the last one that was sent: %+v", tries)
	}
	if got[0].Tries[1] != sent {
		t.Error("what was returned changes later")
	}
	blob := fetch("s.com/x", "sha256:1", time.Second)
	if image, isKnown := l.Image(pull, blob); image != "s.com/x:1" || !isKnown {
		t.Errorf("image %q, known %t", image, isKnown)
	}
	l.Begin(resolve("s.com/x", "2", time.Second))
	if _, isKnown := l.Image(pull, blob); isKnown {
		t.Error("a blob is of one image, while two are pulled")
	}
}

func TestALogIsBounded(t *testing.T) { // V1
	long := strings.Repeat("ü", 100_000)
	l := New()
	for i := range 2 * most {
		pull := l.Begin(resolve(fmt.Sprint("s.com/", i, long), long, 0))
		for n := range 100 {
			l.Tried(pull, Tries{Place: fmt.Sprint("m", n, long), Outcome: Missing, Requests: 1, Why: long})
		}
		l.Refused(pull, long, long)
		l.WouldRefuse(pull, long)
		if i > 3 {
			long = long[:10_000]
		}
	}
	pulls := l.Pulls()
	if len(pulls) != most || pulls[0].ID != most+1 || pulls[most-1].ID != 2*most {
		t.Fatalf("%d pulls, from %d", len(pulls), pulls[0].ID)
	}
	if len(l.latest) > most || len(l.resolved) > most {
		t.Errorf("%d repositories and %d images are remembered", len(l.latest), len(l.resolved))
	}
	text, err := json.Marshal(pulls)
	if err != nil || len(text) > 12<<20 || strings.Contains(string(text), "�") {
		t.Errorf("%d bytes, error %v", len(text), err)
	}
	old := l.Begin(fetch("s.com/1", "sha256:1", 0))
	l.Tried(1, Tries{Place: "m.com", Outcome: Served, Requests: 1})
	l.Settled(1, Tries{Place: "m.com", Outcome: Served, Requests: 1}, Error, "")
	l.Refused(1, "no", "a")
	if image, _ := l.Image(1, Request{}); image != "" || old != 2*most+1 {
		t.Errorf("a pull that is gone has image %q", image)
	}
}

func TestWhoWatchesIsToldWhatThereIsAndWhatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		first := l.Begin(resolve("s.com/x", "1", 0))
		l.Begin(resolve("s.com/y", "1", 0))
		ctx, cancel := context.WithCancel(t.Context())
		var told []string
		slow, ended := make(chan struct{}), make(chan error)
		go func() {
			ended <- l.Watch(ctx, func(p Pull) error {
				told = append(told, fmt.Sprint(p.ID, len(p.Tries)))
				if len(told) == 3 {
					<-slow
				}
				return nil
			})
		}()
		want := func(when string, all ...string) {
			t.Helper()
			time.Sleep(time.Second)
			synctest.Wait()
			if !reflect.DeepEqual(told, all) {
				t.Errorf("%s: told %q, want %q", when, told, all)
			}
		}
		want("at first", "1 0", "2 0")
		third := l.Begin(resolve("s.com/z", "1", 0))
		want("after another pull, which is told slowly", "1 0", "2 0", "3 0")
		for i := range 10 {
			l.Tried(first, Tries{Place: fmt.Sprint(i), Outcome: Missing, Requests: 1})
		}
		l.Tried(third, Tries{Place: "m.com", Outcome: Served, Requests: 1})
		want("while the slow one is told", "1 0", "2 0", "3 0")
		close(slow)
		want("after it", "1 0", "2 0", "3 0", "1 10", "3 1")
		want("while nothing happens", "1 0", "2 0", "3 0", "1 10", "3 1")
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the end is an error: %v", err)
		}
		broken := errors.New("broken pipe")
		if err := l.Watch(t.Context(), func(Pull) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
	})
}

func TestALogTakesWhatComesAtOnce(t *testing.T) {
	l := New()
	ctx, cancel := context.WithCancel(t.Context())
	var working, watching sync.WaitGroup
	watching.Go(func() {
		if err := l.Watch(ctx, func(p Pull) error { _, err := json.Marshal(p); return err }); err != nil {
			t.Error(err)
		}
	})
	for range 8 {
		working.Go(func() {
			for i := range 1000 {
				sent := Tries{Place: "m.com/x", Outcome: Sent, Requests: 1}
				pull := l.Begin(resolve(fmt.Sprint("s.com/", i%most), "1", 0))
				l.Tried(pull, sent)
				l.Settled(pull, sent, CameBack, "")
				if i%100 == 0 {
					l.Pulls()
				}
			}
		})
	}
	working.Wait()
	cancel()
	watching.Wait()
	if pulls := l.Pulls(); pulls[most-1].ID != 8000 {
		t.Errorf("the last pull is %d", pulls[most-1].ID)
	}
}

// BenchmarkRequest measures the cost of the log for one request of containerd: a pull of five, of many repositories.
func BenchmarkRequest(b *testing.B) {
	l, repositories := New(), make([]string, 10_000)
	for i := range repositories {
		repositories[i] = fmt.Sprint("registry.example.com:5000/team/app", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := Request{At: noon, Repository: repositories[i/5%len(repositories)], Object: "sha256:" + strings.Repeat("a", 64), Resolves: i%5 == 0}
		l.Tried(l.Begin(r), Tries{Place: "mirror.example.com/team/app", Outcome: Served, Requests: 1, Took: time.Millisecond})
	}
}
