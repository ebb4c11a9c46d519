// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/redirect/complaints"
	"github.com/mirrorset/mirrorset/internal/route"
)

// one returns the only complaint.
func one(t *testing.T, s *Server, kind complaints.Kind) complaints.Complaint {
	t.Helper()
	all := s.Complaints()
	if len(all) != 1 || all[0].Kind != kind || all[0].Message == "" || all[0].Remedy == "" {
		t.Fatalf("complaints %v, want one of %s", all, kind)
	}
	return all[0]
}

// sentLogins returns how often a login or a token was sent to a registry, or to a token server.
func sentLogins(r *registryAt) int {
	return len(slices.DeleteFunc(r.sent("Authorization"), func(a string) bool { return a == "" }))
}

func TestAWrongPasswordIsSentOnceAndComplainedOf(t *testing.T) {
	corp := newAuthority(t)
	for name, isToken := range map[string]bool{"Basic": false, "Bearer": true} {
		t.Run(name, func(t *testing.T) {
			server := &tokens{repository: "m/y", user: "ann", secret: "secret1", seconds: 300}
			server.registryAt = corp.start(t, server.issue)
			answer, sentTo := basic("ann", "secret1"), (*registryAt)(nil)
			if isToken {
				answer = server.guards()
			}
			mirror := corp.start(t, answer)
			if sentTo = mirror; isToken {
				sentTo = server.registryAt
			}
			granted := func(secret string) map[string]login {
				return map[string]login{mirror.host: password("ann", secret)}
			}
			s, complained := newComplaining(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, granted("wrong secret"), corp, mirror))
			var asking sync.WaitGroup
			for i := range 40 {
				asking.Go(func() {
					path := pathTo("0", "s.com", fmt.Sprint("x/y", i%4), manifestDigest)
					w := ask(t, s, []string{http.MethodHead, http.MethodGet}[i%2], path, "Authorization", podsOwn)
					if w.Code != http.StatusNotFound || w.Header().Get("WWW-Authenticate") != "" || !strings.Contains(w.Body.String(), "refuses the login") || secretsIn(w.Body.String(), "wrong secret", "ann") != nil {
						t.Errorf("got %d %s %s", w.Code, w.Header(), w.Body)
					}
				})
			}
			asking.Wait()
			if n := sentLogins(sentTo); n != 1 {
				t.Errorf("the login was sent %d times", n)
			}
			found := one(t, s, complaints.LoginRefused)
			if strings.Contains(found.Message+found.Remedy, "repository") {
				t.Errorf("it is taken for a complaint about one repository: %v", found)
			}
			for _, want := range []string{"mirror " + mirror.host + " refuses the login of Secret mirror-credentials, key " + mirror.host + ", with 401 Unauthorized"} {
				if found.Mirror != mirror.host || !strings.Contains(found.Message, want) || secretsIn(found.Message+found.Remedy, "wrong secret", "ann") != nil {
					t.Errorf("complaint %v, want %q", found, want)
				}
			}
			regrant(s, grant(t, granted("secret1"), corp, mirror))
			if got := s.Complaints(); got != nil {
				t.Errorf("with another login: complaints %v", got)
			}
			pull(t, s, "0", "x/y")
			if got := s.Complaints(); got != nil || complained.Load() != 2 {
				t.Errorf("complaints %v, which changed %d times", got, complained.Load())
			}
			before := sentLogins(sentTo)
			regrant(s, grant(t, granted("wrong secret"), corp, mirror))
			if ask(t, s, http.MethodGet, blobPath("0", "x/y")); sentLogins(sentTo) != before+1 {
				t.Error("a login that is granted anew is not tried at once")
			}
		})
	}
}

func TestALoginThatDoesNotSufficeForOneRepositoryServesTheOthers(t *testing.T) {
	corp := newAuthority(t)
	for _, code := range []int{http.StatusForbidden, http.StatusUnauthorized} {
		allowed := atomic.Bool{}
		mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
			if _, _, ok := r.BasicAuth(); ok && strings.Contains(r.URL.Path, "/shut/") && !allowed.Load() {
				w.WriteHeader(code)
				return
			}
			basic("ann", "secret1")(w, r)
		})
		s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
		pull(t, s, "0", "x/y")
		for range 3 {
			if w := ask(t, s, http.MethodGet, blobPath("0", "x/shut/y")); w.Code != http.StatusNotFound {
				t.Errorf("got %d", w.Code)
			}
			pull(t, s, "0", "x/y")
		}
		if found := one(t, s, complaints.LoginRefused); !strings.HasSuffix(found.Message, ", for repository "+mirror.host+"/m/shut/y") {
			t.Errorf("complaint %v", found)
		}
		refused := 0
		for _, r := range mirror.requests() {
			if strings.Contains(r.URL.Path, "/shut/") && r.Header.Get("Authorization") != "" {
				refused++
			}
		}
		if want := map[int]int{http.StatusUnauthorized: 1, http.StatusForbidden: 3}[code]; refused != want { // 403 says that the login is right
			t.Errorf("%d: the login was sent %d times for what it does not suffice for", code, refused)
		}
		allowed.Store(true)
		s.relay.pool.Keep(grant(t, nil, corp)) // as if a while had passed
		pull(t, s, "0", "x/shut/y")
		if got := s.Complaints(); got != nil {
			t.Errorf("%d: complaints %v", code, got)
		}
	}
}

func TestAMirrorThatWantsALoginIsComplainedOfOnlyIfItIsStreamed(t *testing.T) {
	corp := newAuthority(t)
	failing := atomic.Bool{}
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		if failing.Load() {
			status(http.StatusBadGateway)(w, r) // which says nothing about the login
			return
		}
		basic("ann", "secret1")(w, r)
	})
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, nil, corp))
	if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", manifestDigest)); w.Code != http.StatusTemporaryRedirect || s.Complaints() != nil {
		t.Errorf("where containerd is sent there: got %d, complaints %v", w.Code, s.Complaints())
	}
	regrant(s, grant(t, nil, corp, mirror))
	if w := ask(t, s, http.MethodGet, blobPath("0", "x/y")); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "there is no login for it") || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("where it is streamed: got %d %s %s", w.Code, w.Header(), w.Body)
	}
	failing.Store(true)
	ask(t, s, http.MethodGet, blobPath("0", "x/y"))
	if found := one(t, s, complaints.LoginNeeded); !strings.Contains(found.Message, "mirror "+mirror.host+" requires a login") {
		t.Errorf("complaint %v", found)
	}
	regrant(s, grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	if got := s.Complaints(); got != nil {
		t.Errorf("complaints %v", got)
	}
}

func TestACertificateThatIsNotAcceptedIsComplainedOf(t *testing.T) {
	corp, other := newAuthority(t), newAuthority(t)
	soon := time.Now().Add(time.Hour)
	for kind, c := range map[complaints.Kind]struct {
		option func(*tls.Config)
		want   string
	}{
		complaints.AuthorityUnknown:   {other.serves(t, "127.0.0.1", soon), "unknown authority"},
		complaints.CertificateExpired: {corp.serves(t, "127.0.0.1", time.Now().Add(-time.Hour)), "is good from "},
		complaints.CertificateName:    {corp.serves(t, "127.0.0.2", soon), "127.0.0.2"},
	} {
		mirror := startRegistry(t, false, content, c.option)
		s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, nil, corp, mirror))
		w := ask(t, s, http.MethodGet, blobPath("0", "x/y"))
		if w.Code != http.StatusNotFound || !strings.Contains(message(t, w), c.want) {
			t.Errorf("%s: got %d %s", kind, w.Code, w.Body)
		}
		if found := one(t, s, kind); !strings.Contains(found.Message, "mirror "+mirror.host+": the certificate of "+mirror.host) {
			t.Errorf("%s: complaint %v", kind, found)
		}
		mirror.TLS.Certificates = nil
		corp.serves(t, "127.0.0.1", soon)(mirror.TLS)
		if w := ask(t, s, http.MethodGet, blobPath("0", "x/y")); w.Code != http.StatusOK || s.Complaints() != nil {
			t.Errorf("%s: once it is mended: got %d, complaints %v", kind, w.Code, s.Complaints())
		}
	}
}

func TestATokenServerIsAskedOnlyWhereALoginMayGo(t *testing.T) {
	corp := newAuthority(t)
	guards := func(realm string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="corp"`, realm))
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	never := startRegistry(t, true, http.NotFound)
	sendsOn := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, never.URL+r.URL.String(), http.StatusTemporaryRedirect)
	})
	floods := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(layer); err != nil {
				return
			}
		}
	})
	for name, c := range map[string]struct{ realm, want string }{
		"plain HTTP":      {never.URL + "/token?x=signature", "http"},
		"a blocked place": {"https://" + never.host + "/shut/token?x=signature", "must not be contacted"},
		"the redirector":  {"https://127.0.0.1:289" + route.RedirectorPath + "token?x=signature", "must not be contacted"},
		"sends on":        {sendsOn.URL + "/token?x=signature", "token request"},
		"never ends":      {floods.URL + "/token?x=signature", "failed to decode"},
	} {
		for kind, l := range map[string]login{"password": password("ann", "secret1"), "identity": {"auth": "MDAwMDo=", "identitytoken": "secret2"}} {
			mirror := corp.start(t, guards(c.realm))
			s := newGranted(t, fmt.Sprintf("a: s.com/x -> %s/m\na: %s/shut -> m.com [Never]", mirror.host, never.host), grant(t, map[string]login{mirror.host: l}, corp, mirror))
			w := ask(t, s, http.MethodGet, blobPath("0", "x/y"))
			if w.Code != http.StatusNotFound || !strings.Contains(message(t, w), c.want) || secretsIn(w.Body.String(), "secret1", "secret2", "signature") != nil {
				t.Errorf("%s, %s: got %d %s", name, kind, w.Code, w.Body)
			}
			if sentLogins(mirror) != 0 {
				t.Errorf("%s, %s: the mirror was sent %q", name, kind, mirror.sent("Authorization"))
			}
		}
	}
	if got := never.requests(); len(got) > 0 {
		t.Errorf("a token server without TLS was asked %d times", len(got))
	}
}

func TestAnInsecureMirrorMayHaveATokenServerWithoutTLS(t *testing.T) {
	server := &tokens{repository: "m/y", user: "ann", secret: "secret1", seconds: 300}
	server.registryAt = startRegistry(t, true, server.issue)
	mirror := startRegistry(t, true, server.guards())
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, nil), mirror.host)
	pull(t, s, "0", "x/y")
}

func TestATokenThatDoesNotSufficeIsSentOnce(t *testing.T) {
	corp := newAuthority(t)
	server := &tokens{repository: "m/y", user: "ann", secret: "secret1", seconds: 300}
	server.registryAt = corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		server.issue(w, r)
		server.revoke()
	})
	mirror := corp.start(t, server.guards())
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	for range 4 {
		if w := ask(t, s, http.MethodGet, blobPath("0", "x/y")); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "refuses the login") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
	if tokens, asked := sentLogins(mirror), len(server.requests()); tokens != 1 || asked != 1 {
		t.Errorf("a token was sent %d times, and asked for %d times", tokens, asked)
	}
	one(t, s, complaints.LoginRefused)
}

func TestAMirrorWithALoginAloneIsStreamed(t *testing.T) {
	mirror := startRegistry(t, false, content)
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host: password("ann", "secret1")}, nil))
	if w := ask(t, s, http.MethodGet, blobPath("0", "x/y")); w.Code != http.StatusNotFound {
		t.Errorf("got %d %s, from a mirror with a certificate of nobody", w.Code, w.Header())
	}
	one(t, s, complaints.AuthorityUnknown)
	if n := len(mirror.requests()); n > 0 {
		t.Errorf("it was asked %d times", n)
	}
}
