// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/route"
)

// newPool returns a pool that may contact any place.
func newPool() *Pool {
	return NewPool("test", func(*url.URL) bool { return false })
}

// plain is a request of a registry over plain HTTP.
func plain(host, repository string) Request {
	return Request{
		Method: http.MethodGet, Target: route.Target{Host: host, Repository: repository, Insecure: true}, Object: "manifests/latest",
		TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Patience: 10 * time.Second,
	}
}

// open only requires that a registry answers.
func open(t *testing.T, p *Pool, r Request) error {
	t.Helper()
	resp, err := p.Open(t.Context(), r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func start(t *testing.T, answer http.HandlerFunc) (host string) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestRegistriesThatConnectionsAreKeptToAreBounded(t *testing.T) {
	p := newPool()
	for i := range 2 * maxClients {
		if err := open(t, p, plain(fmt.Sprintf("127.0.%d.%d:1", i>>8, i&255), "x")); err == nil {
			t.Fatal("what is away answered")
		}
	}
	if n := len(p.clients.byPlace); n > maxClients {
		t.Errorf("connections to %d registries are kept", n)
	}
}

func TestLoginsAndTokensThatAreKeptAreBounded(t *testing.T) {
	host := start(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			_, _ = io.WriteString(w, `{"token":"t"}`)
		case r.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	p := newPool()
	for i := range maxTokens + 100 {
		r := plain(host, fmt.Sprint("x/", i))
		if i < 2*maxAccounts {
			r.Login = grants.Login{Username: fmt.Sprint(i), Password: "p"}
		}
		if err := open(t, p, r); err != nil {
			t.Fatal(err)
		}
	}
	accounts := p.clients.byPlace[place{host, true}].accounts
	if n := len(accounts); n > maxAccounts {
		t.Errorf("%d logins are kept", n)
	}
	if n := len(accounts[grants.Login{}].tokens.until); n == 0 || n > maxTokens {
		t.Errorf("%d tokens are kept", n)
	}
	p.Keep(grants.Grants{})
	if n := len(accounts); n > 1 {
		t.Errorf("%d logins are kept that nobody grants", n)
	}
}

func TestALoginThatIsTheSameForAllRepositoriesIsKeptOnce(t *testing.T) {
	for challenge, login := range map[string]grants.Login{
		`Basic realm="corp"`:                       {Username: "ann", Password: "p"},
		`Bearer realm="https://127.0.0.1:1/token"`: {RegistryToken: "t"},
	} {
		asked := 0
		host := start(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				asked++
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		p := newPool()
		for i := range 100 {
			r := plain(host, fmt.Sprint("x/", i))
			r.Login = login
			if err := open(t, p, r); err != nil {
				t.Fatal(err)
			}
		}
		if asked != 1 {
			t.Errorf("%s: %d requests for a hundred repositories had no login", challenge, asked)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	host := start(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") })
	p := newPool()
	var streams []io.Closer
	for range maxStreams {
		resp, err := p.Open(t.Context(), plain(host, "x")) //nolint:bodyclose // closed below
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, resp.Body)
	}
	if err := open(t, p, plain(host, "x")); err == nil || !strings.Contains(err.Error(), "too many streams") {
		t.Errorf("error %v", err)
	}
	for range 2 {
		if err := streams[0].Close(); err != nil {
			t.Error(err)
		}
	}
	if n := len(p.streams); n != maxStreams-1 {
		t.Fatalf("%d streams are counted after one was closed twice", n)
	}
	for _, body := range streams[1:] {
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
	for range 2 * maxStreams { // what fails is not counted either
		if err := open(t, p, plain("127.0.0.1:1", "x")); err == nil || strings.Contains(err.Error(), "too many streams") {
			t.Fatalf("error %v", err)
		}
	}
	if n := len(p.streams); n != 0 {
		t.Errorf("%d streams are still counted", n)
	}
}

func TestTLSSettingsAreBounded(t *testing.T) {
	trusted := x509.NewCertPool()
	s := NewSettings(func() *x509.CertPool { return trusted })
	for i := range 3 * maxSettings {
		s.Of(false, fmt.Append(nil, i, time.Now()))
	}
	if n := len(s.kept); n > maxSettings {
		t.Errorf("%d are kept", n)
	}
}
