// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/redirect/failures"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
)

// failedSince compares for all images. The rules before the change have no name here, and neither have other rules that a test does not name.
func failedSince(s *Server, changed time.Time) failures.Comparison {
	return s.FailedPulls(failures.Change{Touched: func(string, string) bool { return true }, Before: "old", After: s.rules.Load().Digest, At: changed})
}

// walk requests one object as containerd does, with HEAD and then GET at each rank and at the last entry, and reports if one of the places has it.
func walk(t *testing.T, s *Server, repository, kind, object string, ranks int) (found bool) {
	t.Helper()
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		found = false
		for rank := 0; rank <= ranks && !found; rank++ {
			entry := fmt.Sprint(rank)
			if rank == ranks {
				entry = "source"
			}
			path := strings.Replace(pathTo(entry, "s.com", repository, object), "/manifests/", "/"+kind+"/", 1)
			found = ask(t, s, method, path).Code < http.StatusBadRequest
		}
	}
	return found
}

// pullOf requests everything that one pull needs, until something is not available. If no place has a manifest, containerd requests the digest as a
// blob.
func pullOf(t *testing.T, s *Server, repository, object string, ranks int) {
	t.Helper()
	found := walk(t, s, repository, manifests, object, ranks)
	if !found && object == manifestDigest {
		walk(t, s, repository, blobs, object, ranks)
	}
	for range 2 { // the index, and the manifest
		found = found && walk(t, s, repository, manifests, manifestDigest, ranks)
	}
	for _, blob := range []string{otherDigest, manifestDigest} {
		found = found && walk(t, s, repository, blobs, blob, ranks)
	}
}

func TestPullsThatFailAreCounted(t *testing.T) {
	wrong := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("another")) }
	away := startRegistry(t, false, has)
	away.Close()
	astray := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://shut.com/v2/x/manifests/1")
		w.WriteHeader(http.StatusFound)
	}
	const byBoth = "D a: s.com/x -> %s/m%[2]s\nT b: s.com/x -> %[1]s/m%[2]s\na: shut.com -> m.com [Never]"
	for name, c := range map[string]struct {
		mirror              http.HandlerFunc // nil for one that is away
		never, streamed     bool
		refused, passedOver int
		tells               string
	}{
		"it has all":                       {mirror: has},
		"it has all, blocked":              {mirror: has, never: true},
		"it lacks all":                     {mirror: status(404)},
		"it is gone":                       {mirror: status(410)},
		"it lacks all, streamed":           {mirror: status(404), streamed: true},
		"it lacks all, blocked":            {mirror: status(404), never: true, refused: 4, tells: "blocked by policy NeverContactSource"},
		"it lacks all, blocked, streamed":  {mirror: status(404), never: true, streamed: true, refused: 4, tells: "404 Not Found"},
		"it wants a login, streamed":       {mirror: status(401), streamed: true},
		"it refuses the login, streamed":   {mirror: status(403), streamed: true},
		"it takes no such request":         {mirror: status(406), streamed: true},
		"too many requests":                {mirror: status(429), passedOver: 2, tells: "it answered 429 Too Many Requests"},
		"too many requests, streamed":      {mirror: status(429), streamed: true, passedOver: 2, tells: "it answered 429"},
		"it fails":                         {mirror: status(500), passedOver: 2, tells: "it answered 500 Internal Server Error"},
		"it fails, streamed":               {mirror: status(503), streamed: true, passedOver: 2, tells: "it answered 503"},
		"it fails, blocked":                {mirror: status(503), never: true, refused: 4, passedOver: 2, tells: "503"},
		"it does not answer":               {mirror: hang, passedOver: 2, tells: "it does not answer within"},
		"it does not answer, streamed":     {mirror: hang, streamed: true, passedOver: 2, tells: "it does not answer within"},
		"it has other content":             {mirror: wrong, passedOver: 2, tells: "its manifest is another one"},
		"it has other content, streamed":   {mirror: wrong, streamed: true, passedOver: 2, tells: "its manifest is another one"},
		"it leads astray":                  {mirror: astray, passedOver: 2, tells: "it redirects to shut.com, which must not be contacted"},
		"it leads astray, streamed":        {mirror: astray, streamed: true, passedOver: 2, tells: "which must not be contacted"},
		"it cannot be connected to":        {},
		"it cannot be connected, streamed": {streamed: true, passedOver: 2, tells: "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			host := away.host
			if c.mirror != nil {
				host = startRegistry(t, c.streamed, c.mirror).host
			}
			policy, insecure := "", []string(nil)
			if c.never {
				policy = " [Never]"
			}
			if c.streamed {
				insecure = []string{host}
			}
			s := newServer(t, fmt.Sprintf(byBoth, host, policy), insecure...)
			if strings.Contains(name, "does not answer") {
				s.scout.deadline = 100 * time.Millisecond
			}
			changed := time.Now()
			for _, repository := range []string{"x/y", "x/z", "x/y", "x/z"} { // the kubelet tries again
				pullOf(t, s, repository, "1", 1)
				pullOf(t, s, repository, manifestDigest, 1)
			}
			got := failedSince(s, changed)
			if got.Refused != (failures.Count{After: c.refused}) || got.PassedOver != (failures.Count{After: c.passedOver}) || got.More != max(c.refused, c.passedOver) {
				t.Errorf("got %+v", got)
			}
			if told := strings.Join(got.Last, "\n"); !strings.Contains(told, c.tells) || (told == "") != (c.tells == "") {
				t.Errorf("told %q", got.Last)
			}
			if c.passedOver > 0 && !strings.Contains(strings.Join(got.Last, "\n"), "mirror "+host+"/m") && c.refused == 0 {
				t.Errorf("told %q", got.Last)
			}
		})
	}
}

func TestOfASourceWithTwoMirrorsEachCountsForItself(t *testing.T) {
	lacks, fails, hasAll := startRegistry(t, false, status(404)), startRegistry(t, false, status(500)), startRegistry(t, false, has)
	for name, c := range map[string]struct {
		mirrors             []*registryAt
		policy              string
		refused, passedOver int
	}{
		"a partial one first":         {[]*registryAt{lacks, hasAll}, "", 0, 0},
		"a partial one first, closed": {[]*registryAt{lacks, hasAll}, " [Never]", 0, 0},
		"one that fails first":        {[]*registryAt{fails, hasAll}, " [Never]", 0, 2},
		"none has it":                 {[]*registryAt{lacks, fails}, " [Never]", 2, 2},
		"none is asked after it":      {[]*registryAt{hasAll, fails}, "", 0, 0},
	} {
		s := newServer(t, fmt.Sprintf("D a: s.com/x -> %s/m, %s/m%s", c.mirrors[0].host, c.mirrors[1].host, c.policy))
		changed := time.Now()
		for _, repository := range []string{"x/y", "x/z"} {
			pullOf(t, s, repository, manifestDigest, 2)
		}
		if got := failedSince(s, changed); got.Refused.After != c.refused || got.PassedOver.After != c.passedOver {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestARefusalOfALayerCountsOnce(t *testing.T) {
	mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		has(w, r)
	})
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m [Never]")
	changed := time.Now()
	pullOf(t, s, "x/y", manifestDigest, 1)
	walk(t, s, "x/y", blobs, "sha256:"+strings.Repeat("b", 64), 1) // beside the other one
	if got := failedSince(s, changed); got.Refused.After != 1 || got.PassedOver.After != 0 || len(got.Last) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestAManifestThatBreaksOffCounts(t *testing.T) {
	mirror := startRegistry(t, true, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("{"))
	})
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	changed := time.Now()
	for _, repository := range []string{"x/y", "x/z"} {
		walk(t, s, repository, manifests, manifestDigest, 1)
	}
	if got := failedSince(s, changed); got.PassedOver.After != 2 || !strings.Contains(got.Last[0], "unexpected EOF") {
		t.Errorf("got %+v", got)
	}
}

func TestAMirrorThatWasNotAskedIsNotAtFault(t *testing.T) {
	for _, err := range []error{upstream.ErrBusy, &upstream.Refused{}, fmt.Errorf("wrapped: %w", &upstream.Refused{})} {
		if v := unanswered(err); v.fails() || v.ok {
			t.Errorf("%v: %+v", err, v)
		}
	}
	for _, err := range []error{upstream.ErrAstray, upstream.ErrSilent, &upstream.Untrusted{Err: errors.New("expired")}, errors.New("reset")} {
		if v := unanswered(err); !v.fails() {
			t.Errorf("%v: %+v", err, v)
		}
	}
}

func TestWhoMayNotAskOrDoesNotWaitCountsAsNothing(t *testing.T) {
	mirror := startRegistry(t, true, hang)
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	changed := time.Now()
	for _, path := range []string{"/v2/_mirrorset/source/x/y/manifests/1?ns=s.com", pathTo("source", "t.com", "x", "1"), pathTo("7", "s.com", "x/y", manifestDigest)} {
		ask(t, s, http.MethodGet, path)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1"+pathTo("0", "s.com", "x/y", manifestDigest), nil))
	if got := failedSince(s, changed); got.More != 0 || got.Last != nil {
		t.Errorf("got %+v", got)
	}
}

func TestARequestThatBeganBeforeAChangeCountsBefore(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	mirror := startRegistry(t, false, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		w.WriteHeader(http.StatusBadGateway)
	})
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m")
	change := failures.Change{Touched: func(string, string) bool { return true }, Before: s.rules.Load().Digest}
	var asking sync.WaitGroup
	for _, repository := range []string{"x/y", "x/z"} {
		asking.Go(func() { ask(t, s, http.MethodGet, pathTo("0", "s.com", repository, manifestDigest)) })
		<-asked
	}
	setRules(t, s, "a: s.com/x -> "+mirror.host+"/n")
	change.After, change.At = s.rules.Load().Digest, time.Now()
	s.FailedPulls(change)
	close(answer)
	asking.Wait()
	time.Sleep(time.Until(change.At.Add(time.Second))) // of which as much counts before the change
	if got := s.FailedPulls(change); got.PassedOver != (failures.Count{Before: 2}) {
		t.Errorf("got %+v", got)
	}
}

func TestPullsThatFailAtOnceWakeTheAgent(t *testing.T) {
	fails, hasAll := startRegistry(t, false, status(500)), startRegistry(t, false, has)
	woken := make(chan struct{}, 100)
	var calls atomic.Int32
	s := New(wired(Config{Log: logr.Discard()}))
	s.failed = failures.New(func() { calls.Add(1); woken <- struct{}{} })
	setRules(t, s, fmt.Sprintf("a: s.com/x -> %s/m\na: t.com/x -> %s/m", fails.host, hasAll.host))
	change := failures.Change{Touched: func(host, _ string) bool { return host == "s.com" }, Before: "old", After: s.rules.Load().Digest, At: time.Now()}
	s.FailedPulls(change)
	var asking sync.WaitGroup
	for i := range 20 {
		asking.Go(func() {
			ask(t, s, http.MethodGet, pathTo("0", "t.com", fmt.Sprint("x/", i), manifestDigest))
			ask(t, s, http.MethodGet, pathTo("0", "s.com", fmt.Sprint("x/", i), manifestDigest))
			s.FailedPulls(change)
		})
	}
	asking.Wait()
	<-woken
	if got := s.FailedPulls(change); got.More != 20 || len(got.Last) != 3 || calls.Load() > 2 {
		t.Errorf("got %+v, woken %d times", got, calls.Load())
	}
}
