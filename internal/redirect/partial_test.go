// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestALoginThatIsRightServesAllButWhatItMayNotRead(t *testing.T) {
	corp := newAuthority(t)
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/shut") {
			w.Header().Set("WWW-Authenticate", `Basic realm="corp"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		basic("ann", "secret1")(w, r)
	})
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m [Never]", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	for _, repository := range []string{"x/a", "x/shut1", "x/shut2", "x/shut3", "x/a", "x/b"} {
		want := http.StatusOK
		if strings.Contains(repository, "shut") {
			want = http.StatusNotFound
		}
		if w := ask(t, s, http.MethodGet, blobPath("0", repository)); w.Code != want {
			t.Errorf("%s: got %d %s", repository, w.Code, w.Body)
		}
	}
}

func TestOneForbiddenObjectIsNoFaultOfTheOthers(t *testing.T) {
	corp := newAuthority(t)
	for _, bearer := range []bool{false, true} {
		server := &tokens{repository: "m/y", user: "ann", secret: "secret1", seconds: 300}
		server.registryAt = corp.start(t, server.issue)
		answer := basic("ann", "secret1")
		if bearer {
			answer = server.guards()
		}
		mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, otherDigest) && r.Header.Get("Authorization") != "" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			answer(w, r)
		})
		s, changes := newComplaining(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
		for range 3 {
			pull(t, s, "0", "x/y")
			if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", otherDigest)); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "403") {
				t.Errorf("bearer %t: got %d %s", bearer, w.Code, w.Body)
			}
			pull(t, s, "0", "x/y")
		}
		if changes.Load() != 1 {
			t.Errorf("bearer %t: the complaints changed %d times: %v", bearer, changes.Load(), s.Complaints())
		}
	}
}

func TestATokenIsFetchedAnewWhereTheOldOneHasTooFewRights(t *testing.T) {
	corp := newAuthority(t)
	var granted atomic.Bool
	server := corp.start(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"token":"rights-%t","expires_in":3600}`, granted.Load())
	})
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Authorization") {
		case "Bearer rights-true":
			content(w, r)
		case "Bearer rights-false":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="corp"`, server.URL+"/token"))
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	for _, want := range []int{http.StatusNotFound, http.StatusOK} {
		if w := ask(t, s, http.MethodGet, blobPath("0", "x/y")); w.Code != want {
			t.Errorf("with the right %t: got %d %s", granted.Load(), w.Code, w.Body)
		}
		granted.Store(true)
	}
}

func TestASlowImageHoldsUpNoOther(t *testing.T) {
	corp := newAuthority(t)
	arrived, done := make(chan struct{}, 8), make(chan struct{})
	defer close(done) // before the registry ends, which waits for its answers
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/slow/") && r.Header.Get("Authorization") != "" {
			arrived <- struct{}{}
			<-done
		}
		basic("ann", "secret1")(w, r)
	})
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	go ask(t, s, http.MethodGet, blobPath("0", "x/slow/y"))
	<-arrived // with a login that nobody has accepted yet
	for i := range 3 {
		if w := ask(t, s, http.MethodGet, blobPath("0", fmt.Sprint("x/fast", i))); w.Code != http.StatusOK {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
}
