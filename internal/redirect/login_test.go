// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const podsOwn = "Basic cG9kOnB1bGxzZWNyZXQ=" // the Authorization header that containerd might send for a Pod

// pull asks for the manifest and the layer as containerd does, with HEAD and Range too, and with a header that is none of the mirror's business.
func pull(t *testing.T, s *Server, rank, repository string) {
	t.Helper()
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		w := ask(t, s, method, pathTo(rank, "s.com", repository, manifestDigest), "Authorization", podsOwn, "Cookie", "a=b")
		if w.Code != http.StatusOK || method == http.MethodGet && w.Body.String() != manifest {
			t.Errorf("%s of the manifest of %s: got %d %s", method, repository, w.Code, w.Body)
		}
		w = ask(t, s, method, blobPath(rank, repository), "Authorization", podsOwn)
		if w.Code != http.StatusOK || w.Header().Get("Content-Length") != fmt.Sprint(len(layer)) || method == http.MethodGet && !bytes.Equal(w.Body.Bytes(), layer) {
			t.Errorf("%s of the layer of %s: got %d, %s bytes", method, repository, w.Code, w.Header().Get("Content-Length"))
		}
	}
	w := ask(t, s, http.MethodGet, blobPath(rank, repository), "Range", "bytes=1000-", "Authorization", podsOwn)
	if w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), layer[1000:]) {
		t.Errorf("a part of the layer of %s: got %d, %d bytes", repository, w.Code, w.Body.Len())
	}
}

func TestAMirrorIsAskedWithItsPassword(t *testing.T) {
	corp := newAuthority(t)
	mirror := corp.start(t, basic("ann", "secret1"))
	s := newGranted(t, "T a: s.com/x -> "+mirror.host+"/m\nD a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host + "/m": password("ann", "secret1")}, corp, mirror))
	pull(t, s, "0", "x/y")
	if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", "1")); w.Code != http.StatusOK || w.Body.String() != manifest {
		t.Errorf("by tag: got %d %s", w.Code, w.Body)
	}
	for i, r := range mirror.requests() {
		if a := r.Header.Get("Authorization"); a == "" && i > 0 || a == podsOwn || r.Header.Get("Cookie") != "" || r.URL.RawQuery != "" {
			t.Errorf("request %d was sent with %s", i, r.Header)
		}
	}
	if got := s.Complaints(); got != nil {
		t.Errorf("complaints %v", got)
	}
}

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

func TestEachMirrorSeesItsOwnLoginAndNoOther(t *testing.T) {
	corp := newAuthority(t)
	tokenServer := &tokens{repository: "m/y", user: "ben", secret: "secret2", seconds: 300}
	tokenServer.registryAt = corp.start(t, tokenServer.issue)
	first, second := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/other/") {
			basic("cid", "secret3")(w, r)
			return
		}
		basic("ann", "secret1")(w, r)
	}), corp.start(t, tokenServer.guards())
	open := corp.start(t, content)
	s := newGranted(t, fmt.Sprintf("a: s.com/x -> %[1]s/m, %[2]s/m, %[1]s/other, %[3]s/m", first.host, second.host, open.host), grant(t, map[string]login{
		first.host: password("ann", "secret1"), first.host + "/other": password("cid", "secret3"), second.host + "/m": password("ben", "secret2"),
	}, corp, first, second, open))
	for range 2 {
		for _, rank := range []string{"0", "1", "2", "3"} {
			pull(t, s, rank, "x/y")
		}
	}
	for who, seen := range map[string]struct {
		at      *registryAt
		allowed []string
	}{
		"first":        {first, []string{"", "Basic YW5uOnNlY3JldDE=", "Basic Y2lkOnNlY3JldDM="}},
		"second":       {second, []string{"", "Bearer token0"}},
		"token server": {tokenServer.registryAt, []string{"Basic YmVuOnNlY3JldDI="}},
		"open":         {open, []string{""}},
	} {
		for _, r := range seen.at.requests() {
			a := r.Header.Get("Authorization")
			isOther := strings.HasPrefix(r.URL.Path, "/v2/other/")
			if !slices.Contains(seen.allowed, a) || a != "" && who == "first" && isOther != (a == seen.allowed[2]) {
				t.Errorf("%s saw %q at %s", who, a, r.URL.Path)
			}
		}
	}
}

func TestALoginDoesNotGoWhereAMirrorSendsOn(t *testing.T) {
	corp := newAuthority(t)
	store, plain := corp.start(t, content), startRegistry(t, true, content)
	otherAddress := startRegistry(t, false, content, corp.serves(t, "127.0.0.1", time.Now().Add(time.Hour)))
	refusing := corp.start(t, status(http.StatusForbidden))
	tokenServer := &tokens{repository: "tok/y", user: "ann", secret: "secret1", seconds: 300}
	tokenServer.registryAt = corp.start(t, tokenServer.issue)
	to := ""
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		sendOn := func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to+"/signed?key=signature", http.StatusTemporaryRedirect)
		}
		if strings.HasPrefix(r.URL.Path, "/v2/tok/") {
			if tokenServer.isGood(r) {
				sendOn(w, r)
				return
			}
			tokenServer.guards()(w, r)
			return
		}
		if _, p, _ := r.BasicAuth(); p == "secret1" {
			sendOn(w, r)
			return
		}
		basic("ann", "secret1")(w, r)
	})
	s := newGranted(t, fmt.Sprintf("a: s.com/x -> %[1]s/m, %[1]s/tok", mirror.host), grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	for _, rank := range []string{"0", "1"} {
		for _, at := range []*registryAt{store, plain, otherAddress} {
			to = at.URL
			if w := ask(t, s, http.MethodGet, blobPath(rank, "x/y"), "Range", "bytes=5-"); w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), layer[5:]) {
				t.Errorf("rank %s: got %d", rank, w.Code)
			}
		}
		to = refusing.URL
		if w := ask(t, s, http.MethodGet, blobPath(rank, "x/y")); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), refusing.host+", where it sends on to, answered 403") || secretsIn(w.Body.String(), "signature", "secret1") != nil {
			t.Errorf("rank %s, to a store that refuses: got %d %s", rank, w.Code, w.Body)
		}
		to = "http://127.0.0.1:1"
		if w := ask(t, s, http.MethodGet, blobPath(rank, "x/y")); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "connection refused") || strings.Contains(message(t, w), "Get ") || secretsIn(w.Body.String(), "signature", "secret1") != nil {
			t.Errorf("rank %s, to a store that is away: got %d %s", rank, w.Code, w.Body)
		}
	}
	for _, at := range []*registryAt{store, plain, otherAddress, refusing} {
		for _, r := range at.requests() {
			if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
				t.Errorf("a store was sent %s", r.Header)
			}
		}
		if len(at.requests()) == 0 {
			t.Error("a store was never asked")
		}
	}
	if got := s.Complaints(); got != nil {
		t.Errorf("complaints %v", got)
	}
}

func TestAStreamGoesOnWhileItsLoginChanges(t *testing.T) {
	corp := newAuthority(t)
	var mu sync.Mutex
	current := "secret1"
	halfway, rotated := make(chan struct{}), make(chan struct{})
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		secret := current
		mu.Unlock()
		if _, p, ok := r.BasicAuth(); ok && p == secret && strings.Contains(r.URL.Path, "/slow/") {
			_, _ = w.Write(layer[:100])
			_ = http.NewResponseController(w).Flush()
			close(halfway)
			<-rotated
			_, _ = w.Write(layer[100:])
			return
		}
		basic("ann", secret)(w, r)
	})
	granted := func(secret string) map[string]login {
		return map[string]login{mirror.host: password("ann", secret)}
	}
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, granted("secret1"), corp, mirror))
	var streaming sync.WaitGroup
	streaming.Go(func() {
		if w := ask(t, s, http.MethodGet, blobPath("0", "x/slow/y")); w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), layer) {
			t.Errorf("the stream under way: got %d, %d bytes", w.Code, w.Body.Len())
		}
	})
	<-halfway
	mu.Lock()
	current = "secret2"
	mu.Unlock()
	regrant(s, grant(t, granted("secret2"), corp, mirror))
	pull(t, s, "0", "x/y")
	close(rotated)
	streaming.Wait()
	if all := mirror.sent("Authorization"); all[len(all)-1] != "Basic YW5uOnNlY3JldDI=" {
		t.Errorf("the last request had %q", all[len(all)-1])
	}
	if got := s.Complaints(); got != nil {
		t.Errorf("complaints %v", got)
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

func TestAnInsecureSourceGetsNoLogin(t *testing.T) {
	source := startRegistry(t, true, basic("ann", "secret1"))
	s := newGranted(t, fmt.Sprintf("a: %s/shut -> m.com [Never]", source.host), grant(t, map[string]login{source.host: password("ann", "secret1")}, nil), source.host)
	if w := ask(t, s, http.MethodGet, pathTo("source", source.host, "x/y", "latest")); w.Code != http.StatusForbidden || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("got %d %s %s", w.Code, w.Header(), w.Body)
	}
	for _, r := range source.requests() {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("it was sent %s", r.Header)
		}
	}
}
