// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func TestAMirrorThatIsNoGoodIsPassedOver(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string // "" where containerd is to go and see
	}{
		{"has the manifest", has, ""},
		{"does not have it", status(404), "404 Not Found"},
		{"does not have it any more", status(410), "410 Gone"},
		{"is asked too often", status(429), "429 Too Many Requests"},
		{"fails", status(500), "500 Internal Server Error"},
		{"is not there behind its proxy", status(502), "502 Bad Gateway"},
		{"has other content", status(200), "another one"},
		{"has far too much content", func(w http.ResponseWriter, _ *http.Request) {
			for range 2 * maxManifest / 1024 {
				_, _ = w.Write(make([]byte, 1024))
			}
		}, "more than"},
		{"says that it has more than anybody could take", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(1<<40))
			for part := make([]byte, 1<<20); ; {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
		}, "more than"},
		{"wants credentials", status(401), ""},
		{"lets nobody in", status(403), ""},
		{"has it elsewhere", status(307), ""},
		{"does not know the method", status(405), ""},
		{"breaks off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			mirror := startRegistry(t, false, c.answer)
			s := newServer(t, "a: s.com/x -> "+mirror.host+"/m")
			for _, kind := range []string{manifests, blobs} {
				w := ask(t, s, http.MethodGet, strings.Replace(pathTo("0", "s.com", "x/y", manifestDigest), manifests, kind, 1))
				switch {
				case c.want == "" && w.Code != http.StatusTemporaryRedirect:
					t.Errorf("%s: got %d %s", kind, w.Code, w.Body)
				case c.want != "" && (w.Code != http.StatusNotFound || !strings.Contains(message(t, w), c.want)):
					t.Errorf("%s: got %d %s, want %s", kind, w.Code, w.Body, c.want)
				}
			}
			for _, r := range mirror.requests() {
				if r.Header.Get("Accept") == "" || r.URL.RawQuery != "" || r.Header.Get("Authorization") != "" {
					t.Errorf("asked %s with %s", r.URL, r.Header)
				}
			}
		})
	}
}

func TestABlobIsNotTakenFromARepositoryWithAWrongManifest(t *testing.T) {
	mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/rotten/") {
			status(http.StatusOK)(w, r)
			return
		}
		has(w, r)
	})
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m")
	blobOf := func(repository string) string {
		return strings.Replace(pathTo("0", "s.com", repository, otherDigest), manifests, blobs, 1)
	}
	for _, c := range []struct {
		path string
		want int
	}{
		{blobOf("x/rotten"), http.StatusTemporaryRedirect},
		{pathTo("0", "s.com", "x/rotten", manifestDigest), http.StatusNotFound},
		{blobOf("x/rotten") + "&again", http.StatusTemporaryRedirect}, // what was said about this one is still fresh
		{strings.Replace(blobOf("x/rotten"), otherDigest, manifestDigest, 1), http.StatusNotFound},
		{blobOf("x/sound"), http.StatusTemporaryRedirect},
	} {
		if w := ask(t, s, http.MethodGet, c.path); w.Code != c.want {
			t.Errorf("%s: got %d %s", c.path, w.Code, w.Body)
		}
	}
}

func TestAMirrorThatCannotBeReachedIsLeftForContainerdToSee(t *testing.T) {
	away := startRegistry(t, false, has)
	away.Close()
	plain := startRegistry(t, true, has) // not the scheme that containerd is sent with
	s := newServer(t, fmt.Sprintf("a: s.com/x -> %s/m, %s/n, no.such.host.test/m", away.host, plain.host))
	for _, rank := range []string{"0", "1", "2"} {
		if w := ask(t, s, http.MethodGet, pathTo(rank, "s.com", "x/y", manifestDigest)); w.Code != http.StatusTemporaryRedirect {
			t.Errorf("rank %s: got %d %s", rank, w.Code, w.Body)
		}
	}
}

func TestAMirrorIsAskedOnceForAHeadAndTheGetBehindIt(t *testing.T) {
	mirror := startRegistry(t, false, has)
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m")
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		ask(t, s, method, pathTo("0", "s.com", "x/y", manifestDigest))
	}
	if n := len(mirror.requests()); n != 1 {
		t.Errorf("asked %d times", n)
	}
	ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", otherDigest))
	if n := len(mirror.requests()); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// eventually waits for something that happens in the background.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(time.Millisecond) {
		if is() {
			return
		}
	}
	t.Errorf("%s: never", what)
}

// knows reports if a registry or a repository counts as silent.
func (s *silences) knows(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent[what] != nil
}

// age makes silent mirrors due for another try.
func (s *silences) age() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, silence := range s.silent {
		silence.tried = time.Now().Add(-again - time.Second)
	}
}

func TestAMirrorThatHangsIsWaitedForOnce(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		var hangs atomic.Bool
		hangs.Store(true)
		mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
			if hangs.Load() {
				hang(w, r)
				return
			}
			has(w, r)
		})
		var insecure []string
		if streamed {
			insecure = append(insecure, mirror.host)
		}
		s := newServer(t, "a: s.com/x -> "+mirror.host+"/m", insecure...)
		s.scout.deadline = 200 * time.Millisecond
		passedOver := func(path string) {
			t.Helper()
			if w := ask(t, s, http.MethodGet, path); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "answer within") {
				t.Errorf("streamed %t: got %d %s", streamed, w.Code, w.Body)
			}
		}
		passedOver(pathTo("0", "s.com", "x/y", manifestDigest))
		began := time.Now()
		passedOver(pathTo("0", "s.com", "x/y", manifestDigest))
		passedOver(pathTo("0", "s.com", "x/y", otherDigest))
		if took := time.Since(began); took > 150*time.Millisecond {
			t.Errorf("streamed %t: it was waited for again, %s", streamed, took)
		}
		eventually(t, "the whole registry is known for silent", func() bool { return s.scout.silences.knows(mirror.host) })
		passedOver(pathTo("0", "s.com", "x/other", otherDigest))

		hangs.Store(false)
		s.scout.silences.age()
		eventually(t, "a mirror that answers again is used", func() bool {
			code := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", manifestDigest)).Code
			return code == http.StatusTemporaryRedirect || code == http.StatusOK
		})
	}
}

func TestOneSlowImageDoesNotSilenceItsRegistry(t *testing.T) {
	mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/slow/") {
			hang(w, r)
			return
		}
		has(w, r)
	})
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m")
	s.scout.deadline = 500 * time.Millisecond // the fast one has to answer within it, on a busy machine too
	for range 3 {
		ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/slow/a", manifestDigest))
		if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/fast", manifestDigest)); w.Code != http.StatusTemporaryRedirect {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		time.Sleep(s.scout.deadline)
		s.scout.silences.age()
	}
}

func TestABadAnswerIsNotRememberedForLongerBecauseItIsAskedFor(t *testing.T) {
	mirror := startRegistry(t, false, has)
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m")
	q, m := question{kind: manifests, object: manifestDigest}, s.rules.Load().Router.Route("s.com", "x/y", mirrors.ByDigest).Mirrors[0]
	s.scout.memory.rememberFor(100*time.Millisecond, q, m, verdict{why: "it answered 503"})
	eventually(t, "the mirror is asked again", func() bool {
		return ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", manifestDigest)).Code == http.StatusTemporaryRedirect
	})
}

func TestAHangingMirrorDoesNotStopTheOthers(t *testing.T) {
	hanging, sound := startRegistry(t, false, hang), startRegistry(t, false, has)
	s := newServer(t, fmt.Sprintf("a: s.com/x -> %s/m\na: t.com/x -> %s/m", hanging.host, sound.host))
	s.scout.deadline = 3 * time.Second
	var asking sync.WaitGroup
	for i := range 200 {
		asking.Go(func() {
			if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", fmt.Sprint("x/", i), manifestDigest)); w.Code != http.StatusNotFound {
				t.Errorf("got %d", w.Code)
			}
		})
	}
	eventually(t, "all slots are taken", func() bool { return len(s.scout.slot(hanging.host)) == maxAsked })
	began := time.Now()
	if w := ask(t, s, http.MethodGet, pathTo("0", "t.com", "x/y", manifestDigest)); w.Code != http.StatusTemporaryRedirect || time.Since(began) > 2*time.Second {
		t.Errorf("got %d after %s", w.Code, time.Since(began))
	}
	asking.Wait()
	eventually(t, "all tries have ended", func() bool { return len(s.scout.slot(hanging.host)) == 0 })
}

func TestWhoDoesNotWaitLeavesNoVerdict(t *testing.T) {
	mirror := startRegistry(t, false, hang)
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m")
	s.scout.deadline = 300 * time.Millisecond
	path := pathTo("0", "s.com", "x/y", manifestDigest)
	ctx, leave := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, leave)
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
	if w := ask(t, s, http.MethodGet, path); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "answer within") {
		t.Errorf("the next one: got %d %s", w.Code, w.Header())
	}
}

func TestASlowMirrorIsStreamedWhereItIsTheLastOfABlockedSource(t *testing.T) {
	slow := startRegistry(t, true, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond)
		has(w, r)
	})
	s := newServer(t, fmt.Sprintf("a: s.com/x -> %s/m [Never]\na: s.com/y -> %s/m", slow.host, slow.host), slow.host)
	s.scout.deadline = 100 * time.Millisecond
	for repository, want := range map[string]int{"x/a": http.StatusOK, "x/b": http.StatusOK, "y/a": http.StatusNotFound} {
		if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", repository, manifestDigest)); w.Code != want {
			t.Errorf("%s: got %d %s", repository, w.Code, w.Body)
		}
	}
}

func TestTheLastMirrorOfABlockedSourceIsNotPassedOverForBeingSlow(t *testing.T) {
	mirror := startRegistry(t, false, hang)
	s := newServer(t, fmt.Sprintf("a: s.com/x -> %s/m, %s/n [Never]\na: s.com/y -> %s/m", mirror.host, mirror.host, mirror.host))
	s.scout.deadline = 50 * time.Millisecond
	for _, c := range []struct {
		rank, repository string
		want             int
	}{{"0", "x/a", http.StatusNotFound}, {"1", "x/a", http.StatusTemporaryRedirect}, {"0", "y/a", http.StatusNotFound}} {
		if w := ask(t, s, http.MethodGet, pathTo(c.rank, "s.com", c.repository, manifestDigest)); w.Code != c.want {
			t.Errorf("%+v: got %d %s", c, w.Code, w.Body)
		}
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	s := newServer(t, "a: s.com/x -> m.com")
	for i := range 3 * maxVerdicts {
		route := s.rules.Load().Router.Route("s.com", fmt.Sprintf("x/%d", i), mirrors.ByDigest)
		s.scout.memory.remember(question{kind: manifests, object: manifestDigest}, route.Mirrors[0], verdict{ok: true})
		s.scout.silences.note(name(route.Mirrors[0]), false)
	}
	if verdicts, silent := len(s.scout.memory.verdicts), len(s.scout.silences.silent); verdicts > maxVerdicts || silent > maxVerdicts {
		t.Errorf("%d verdicts are kept, and %d silent mirrors", verdicts, silent)
	}
}
