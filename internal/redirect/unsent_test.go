// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/redirect/complaints"
)

func TestAnAnonymousTokenThatDoesNotSufficeIsNoRefusedLogin(t *testing.T) {
	corp := newAuthority(t)
	server := &tokens{repository: "m/y", seconds: 300} // which gives a token to anybody
	server.registryAt = corp.start(t, server.issue)
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "none is good")
		server.guards()(w, r)
	})
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, nil, corp, mirror))
	for range 2 {
		if w := ask(t, s, http.MethodGet, blobPath("0", "x/y")); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "there is no login for it") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
	if found := one(t, s, complaints.LoginNeeded); found.Mirror != mirror.host || strings.Contains(found.Remedy, "docker-server= ") {
		t.Errorf("complaint %v", found)
	}
}

func TestALoginThatIsNotSentIsNotComplainedOfAsRefused(t *testing.T) {
	corp := newAuthority(t)
	const notAsked, noPassword = "it did not ask for one", "it requires a user name and a password, but the login is a token"
	answers := func(code int, challenge string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(code)
		}
	}
	for name, c := range map[string]struct {
		login        login
		answer       http.HandlerFunc
		want, remedy string
	}{
		"an identity token at Basic": {login{"identitytoken": "secret2"}, answers(http.StatusUnauthorized, "Basic"), noPassword, "--docker-password"},
		"a registry token at Basic":  {login{"registrytoken": "secret3"}, answers(http.StatusUnauthorized, "Basic"), noPassword, "--docker-password"},
		"another scheme":             {password("ann", "secret1"), answers(http.StatusUnauthorized, "Negotiate"), notAsked, "Basic or Bearer"},
		"403 at once":                {password("ann", "secret1"), answers(http.StatusForbidden, ""), notAsked, "Basic or Bearer"},
	} {
		mirror := corp.start(t, c.answer)
		s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, map[string]login{mirror.host + "/m": c.login}, corp, mirror))
		w := ask(t, s, http.MethodGet, blobPath("0", "x/y"))
		if text := message(t, w); w.Code != http.StatusNotFound || !strings.Contains(text, "was not sent the login: "+c.want) || strings.Contains(text, "refuses") {
			t.Errorf("%s: got %d %s", name, w.Code, text)
		}
		found := one(t, s, complaints.LoginRefused)
		if found.Mirror != mirror.host+"/m" || !strings.Contains(found.Message, "was not sent the login of Secret mirror-credentials, key "+mirror.host+"/m: "+c.want) || !strings.Contains(found.Remedy, c.remedy) {
			t.Errorf("%s: complaint %v", name, found)
		}
		if n := sentLogins(mirror); n != 0 {
			t.Errorf("%s: the mirror was sent a login %d times", name, n)
		}
	}
}

func TestAMirrorThatWantsAPasswordAndATokenGetsEachWhereItIsWanted(t *testing.T) {
	corp := newAuthority(t)
	server := &tokens{repository: "tok/y", user: "ann", secret: "secret1", seconds: 300}
	server.registryAt = corp.start(t, server.issue)
	mirror := corp.start(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/tok/") {
			server.guards()(w, r)
			return
		}
		basic("ann", "secret1")(w, r)
	})
	s := newGranted(t, fmt.Sprintf("a: s.com/x -> %[1]s/m, %[1]s/tok", mirror.host), grant(t, map[string]login{mirror.host: password("ann", "secret1")}, corp, mirror))
	for _, rank := range []string{"0", "1", "0", "1"} {
		pull(t, s, rank, "x/y")
	}
	if got := s.Complaints(); got != nil {
		t.Errorf("complaints %v", got)
	}
}
