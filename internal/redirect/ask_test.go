// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

func TestARegistryIsAskedForAManifest(t *testing.T) { // C9
	has, silent := startRegistry(t, true, has), startRegistry(t, true, hang)
	astray := startRegistry(t, true, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+has.host+"/v2/shut/x/manifests/1", http.StatusTemporaryRedirect)
	})
	lacks, wants, odd := startRegistry(t, true, status(404)), startRegistry(t, true, status(401)), startRegistry(t, true, status(503))
	untrusted := startRegistry(t, false, status(200))
	s := newServer(t, "a: "+has.host+"/shut -> m.invalid [Never]\na: s.com -> "+has.host+"/m")
	s.scout.deadline = 300 * time.Millisecond
	at := func(r *registryAt, repository string) route.Target {
		return route.Target{Host: r.host, Repository: repository, Insecure: r != untrusted}
	}
	for name, c := range map[string]struct {
		at   route.Target
		want route.Found
		why  string
	}{
		"it has it":                   {at(has, "m/x"), route.Has, ""},
		"it has it not":               {at(lacks, "m/x"), route.Lacks, "404 Not Found"},
		"it is out of order":          {at(odd, "m/x"), route.Fails, "503 Service Unavailable"},
		"it is there, and hangs":      {at(silent, "m/x"), route.Silent, "it does not answer within 300ms"},
		"it wants a login":            {at(wants, "m/x"), route.Refuses, wants.host + " answered 401 Unauthorized, and there is no login for it"},
		"nobody trusts it":            {at(untrusted, "m/x"), route.Fails, "certificate"},
		"there is no such host":       {route.Target{Host: "m.invalid", Repository: "x"}, route.Fails, "no such host"},
		"nobody listens":              {route.Target{Host: "127.0.0.1:1", Repository: "x"}, route.Fails, "connection refused"},
		"it is blocked":               {at(has, "shut/x"), route.Blocked, "it must not be contacted"},
		"it is the redirector":        {at(has, "_mirrorset/x"), route.Blocked, "it must not be contacted"},
		"it leads to what is blocked": {at(astray, "m/x"), route.Blocked, "it redirects to " + has.host + ", which must not be contacted"},
	} {
		got := s.Ask(t.Context(), c.at, "1", false)
		found, why := got.Found, got.Why
		if found != c.want || !strings.Contains(why, c.why) || (c.why == "") != (why == "") {
			t.Errorf("%s: got %d %q, want %d %q", name, found, why, c.want, c.why)
		}
		if strings.Contains(why, "dial") || strings.Contains(why, "lookup") {
			t.Errorf("%s: %q names what only the node knows", name, why)
		}
	}
	for _, r := range has.requests() {
		if r.Method != http.MethodHead || r.URL.Path != "/v2/m/x/manifests/1" || !strings.Contains(r.Header["Accept"][0], "image.index") {
			t.Errorf("it was asked with %s %s %s", r.Method, r.URL.Path, r.Header)
		}
	}
}

func TestOnlyAMirrorOfTheRulesIsAskedWithItsLogin(t *testing.T) {
	corp := newAuthority(t)
	mirror := corp.start(t, basic("ann", "secret1"))
	logins := map[string]login{mirror.host: password("ann", "secret1")}
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, logins, corp, mirror))
	mine, others := route.Target{Host: mirror.host, Repository: "m/y"}, route.Target{Host: mirror.host, Repository: "old/y"}
	if got := s.Ask(t.Context(), mine, manifestDigest, false); got.Found != route.Has {
		t.Errorf("the mirror: got %+v", got)
	}
	before := len(mirror.requests())
	for name, found := range map[string]route.Found{"a source": s.Ask(t.Context(), mine, manifestDigest, true).Found, "a mirror of other rules": s.Ask(t.Context(), others, manifestDigest, false).Found} {
		if found == route.Has {
			t.Errorf("%s got the login", name)
		}
	}
	for _, r := range mirror.requests()[before:] {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("a login was sent for %s", r.URL.Path)
		}
	}
	if found := s.Ask(t.Context(), route.Target{Host: startRegistry(t, false, has).host, Repository: "x"}, "1", true).Found; found != route.Refuses {
		t.Errorf("a source that only a runtime may trust: got %d", found)
	}
	if found := New(wired(Config{})).Ask(t.Context(), mine, "1", false).Found; found != route.Blocked {
		t.Errorf("without any rules: got %d", found)
	}
}

func TestWhatARegistrySaysIsToldOnOneShortLine(t *testing.T) {
	for text, want := range map[string]string{
		"dial tcp: lookup m.com on 10.0.0.1:53: no such host":                                                     "no such host",
		"dial tcp 10.1.2.3:443: connect: connection refused, and dial tcp 10.1.2.3:80: connect: no route to host": "connection refused, and no route to host",
		"no such host, and no such host":                                                                          "no such host",
		"x\n\x1b[31my":                                                                                            "x  [31my",
		strings.Repeat("ä", 400):                                                                                  strings.Repeat("ä", maxWords/2) + "...",
	} {
		if got := words(text); got != want {
			t.Errorf("%q: got %q", text, got)
		}
	}
}
