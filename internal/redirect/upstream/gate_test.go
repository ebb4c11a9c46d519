// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/route"
)

func TestALoginPassesTheGateToItsRegistryOnly(t *testing.T) {
	sent := make(chan string, 1)
	host := start(t, func(_ http.ResponseWriter, r *http.Request) { sent <- r.Header.Get("Authorization") })
	r := Request{Target: route.Target{Host: host, Repository: "x"}, TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Login: grants.Login{Username: "ann", Password: "p"}}
	p := newPool()
	a := newAccount(p.clients.to(place{host, false}, r.TLS), r)
	for registry, want := range map[string]string{"http://" + host: "Basic x", "https://" + host: "", "http://other.com": ""} {
		ctx := context.WithValue(t.Context(), attemptKey{}, &attempt{registry: registry, repository: "x"})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/v2/x/manifests/1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Basic x")
		resp, err := gate{a}.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := <-sent; got != want {
			t.Errorf("for a login at %s: it was sent %q", registry, got)
		}
	}
}
