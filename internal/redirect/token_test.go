// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestATokenIsForTheMirrorsRepositoryAlone(t *testing.T) { // containerd#9648
	corp := newAuthority(t)
	for name, c := range map[string]struct {
		server *tokens
		login  login
	}{
		"a password":         {&tokens{user: "ann", secret: "secret1"}, password("ann", "secret1")},
		"an identity token":  {&tokens{identity: "secret2"}, login{"auth": "MDAwMDo=", "identitytoken": "secret2"}},
		"no login is needed": {&tokens{}, nil},
	} {
		c.server.repository, c.server.seconds = "m/y", 300
		c.server.registryAt = corp.start(t, c.server.issue)
		mirror := corp.start(t, c.server.guards())
		logins := make(map[string]login)
		if c.login != nil {
			logins[mirror.host] = c.login
		}
		s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, logins, corp, mirror))
		pull(t, s, "0", "x/y")
		pull(t, s, "0", "x/y")
		if n := len(c.server.requests()); n != 1 {
			t.Errorf("%s: the token server was asked %d times", name, n)
		}
		for i, a := range mirror.sent("Authorization") {
			if want := "Bearer token0"; i > 0 && a != want || i == 0 && a != "" {
				t.Errorf("%s: request %d was sent with %q", name, i, a)
			}
		}
		if got := s.Complaints(); got != nil {
			t.Errorf("%s: complaints %v", name, got)
		}
	}
}

func TestARegistryTokenIsSentAsItIs(t *testing.T) {
	corp := newAuthority(t)
	server := &tokens{registryAt: corp.start(t, http.NotFound), given: []string{"secret3"}}
	mirror := corp.start(t, server.guards())
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: {"registrytoken": "secret3"}}, corp, mirror))
	pull(t, s, "0", "x/y")
	server.revoke()
	for range 3 {
		if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", otherDigest)); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "refuses the login") {
			t.Errorf("once it is no longer good: got %d %s", w.Code, w.Body)
		}
	}
	if n := len(slices.DeleteFunc(mirror.sent("Authorization"), func(a string) bool { return a == "" })); n != 6 {
		t.Errorf("it was sent %d times, want 5 times while it was good, and once", n)
	}
	if n := len(server.requests()); n > 0 {
		t.Errorf("the token server was asked %d times", n)
	}
}

func TestATokenIsNotSentOnceItIsOver(t *testing.T) {
	corp := newAuthority(t)
	server := &tokens{repository: "m/y", user: "ann", secret: "secret1", seconds: 5} // which may be over before it arrives
	server.registryAt = corp.start(t, server.issue)
	mirror := corp.start(t, server.guards())
	g := grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror)
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", g)
	pull(t, s, "0", "x/y")
	if got, want := mirror.sent("Authorization"), []string{"", "Bearer token0", "", "Bearer token1", "", "Bearer token2", "", "Bearer token3", "", "Bearer token4"}; !slices.Equal(got, want) {
		t.Errorf("tokens that last no time: sent %q, want %q", got, want)
	}
	server.seconds = 300
	for range 3 {
		ask(t, s, http.MethodGet, blobPath("0", "x/y"))
	}
	if got := len(server.requests()); got != 6 {
		t.Errorf("the token server was asked %d times, want no more than once for a token that lasts", got)
	}
	server.revoke()
	pull(t, s, "0", "x/y")
	if got := len(server.requests()); got != 7 {
		t.Errorf("the token server was asked %d times, want once more for a token that is revoked", got)
	}
	regrant(s, grant(t, map[string]login{mirror.host: password("ann", "secret9")}, corp, mirror))
	if w := ask(t, s, http.MethodGet, blobPath("0", "x/y")); w.Code != http.StatusNotFound {
		t.Errorf("with another login: got %d, as if with the token of the one before", w.Code)
	}
}

func TestTheNextRequestFetchesATokenIfTheFirstIsGone(t *testing.T) {
	corp := newAuthority(t)
	server := &tokens{repository: "m/y", user: "ann", secret: "secret1", seconds: 300}
	isAsked, isFirst := make(chan struct{}), true
	server.registryAt = corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		if isFirst {
			isFirst = false
			close(isAsked)
			<-r.Context().Done()
			return
		}
		server.issue(w, r)
	})
	mirror := corp.start(t, server.guards())
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	ctx, leave := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, blobPath("0", "x/y"), nil))
	})
	<-isAsked
	asking.Go(func() { pull(t, s, "0", "x/y") })
	eventually(t, "the second one asks", func() bool { return len(mirror.requests()) > 1 })
	time.Sleep(50 * time.Millisecond) // for it to wait for the token
	leave()
	asking.Wait()
}

func TestAChallengeThatNobodyKnowsHidesNone(t *testing.T) {
	corp := newAuthority(t)
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("WWW-Authenticate", "Negotiate")
		if _, p, _ := r.BasicAuth(); p != "secret1" {
			w.Header().Add("WWW-Authenticate", `Basic realm="corp"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		content(w, r)
	})
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	pull(t, s, "0", "x/y")
}
