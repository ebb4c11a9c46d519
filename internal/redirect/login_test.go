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

	"github.com/mirrorset/mirrorset/internal/route"
)

const podsOwn = "Basic cG9kOnB1bGxzZWNyZXQ=" // the Authorization header that containerd might send for a Pod

// pull requests the manifest and the layer as containerd does, with HEAD and Range too, and with a header that the mirror must not see.
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
		if w := ask(t, s, http.MethodGet, blobPath(rank, "x/y")); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), refusing.host+", to which it redirects, answered 403") || secretsIn(w.Body.String(), "signature", "secret1") != nil {
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

func TestASourceAmongItsOwnMirrorsGetsNoLogin(t *testing.T) { // G4
	source := startRegistry(t, true, basic("ann", "secret1"))
	s := newGranted(t, fmt.Sprintf("a: %[1]s/x -> %[1]s/x, %[1]s/copy", source.host), grant(t, map[string]login{source.host: password("ann", "secret1")}, nil), source.host)
	for entry, want := range map[string]int{"0": http.StatusNotFound, "1": http.StatusOK} {
		if w := ask(t, s, http.MethodGet, pathTo(entry, source.host, "x/y", manifestDigest)); w.Code != want {
			t.Errorf("entry %s: got %d %s", entry, w.Code, w.Body)
		}
	}
	for _, r := range source.requests() {
		if r.Header.Get("Authorization") != "" && !strings.HasPrefix(r.URL.Path, "/v2/copy/") {
			t.Errorf("the source was sent %s", r.Header)
		}
	}
}

func TestWithoutAKeyNoMirrorGetsALogin(t *testing.T) { // N10
	mirror := startRegistry(t, true, basic("ann", "secret1"))
	s := newGranted(t, fmt.Sprintf("a: s.com -> %s/x", mirror.host), grant(t, map[string]login{mirror.host: password("ann", "secret1")}, nil), mirror.host)
	if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "y", manifestDigest)); w.Code != http.StatusOK {
		t.Fatalf("with a key: got %d %s", w.Code, w.Body)
	}
	before := len(mirror.sent("Authorization"))
	s.config.Keys = func() []route.Key { return nil }
	if w := ask(t, s, http.MethodGet, route.Key("").Path("s.com", "0")+"/y/manifests/"+manifestDigest+"?ns=s.com"); w.Code == http.StatusOK {
		t.Errorf("without one: got %d %s", w.Code, w.Body)
	}
	for _, sent := range mirror.sent("Authorization")[before:] {
		if sent != "" {
			t.Errorf("the mirror was sent %q", sent)
		}
	}
}
