// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"strings"
	"testing"
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
	if found := one(t, s, LoginNeeded); found.Mirror != mirror.host || strings.Contains(found.Remedy, "docker-server= ") {
		t.Errorf("complaint %v", found)
	}
}
