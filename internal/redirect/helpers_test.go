// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/opencontainers/go-digest"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
	"github.com/mirrorset/mirrorset/internal/route"
)

// manifest is the content of mirrors.
const manifest = `{"schemaVersion":2}`

var (
	manifestDigest = digest.FromString(manifest).String()
	otherDigest    = digest.FromString("another").String()
)

// testKey opens the redirectors of tests.
const testKey = route.Key("of tests")

func testKeys() []route.Key { return []route.Key{testKey} }

// wired adds the parts that a redirector requires: here, a node that trusts no authority.
func wired(c Config) Config {
	trusted := x509.NewCertPool()
	if c.Keys == nil {
		c.Keys = testKeys
	}
	if c.Pulls == nil {
		c.Pulls = accesslog.New()
	}
	if c.Tried == nil {
		c.Tried = func(tries.Try) {}
	}
	if c.AtSource == nil {
		c.AtSource = func(mirrors.Scope, tries.AtSource) {}
	}
	if c.WouldRefuse == nil {
		c.WouldRefuse = func(mirrors.Scope, string) {}
	}
	if c.Roots == nil {
		c.Roots = func() *x509.CertPool { return trusted }
	}
	c.Complained, c.Worse = func() {}, func() {}
	return c
}

// newServer returns a redirector with the rules of sets in the notation of mirrorstest.
func newServer(t testing.TB, sets string, insecure ...string) *Server {
	t.Helper()
	s := New(wired(Config{Log: logr.Discard()}))
	setRules(t, s, sets, insecure...)
	return s
}

// setRules gives a redirector the rules of sets, and returns them.
func setRules(t testing.TB, s *Server, sets string, insecure ...string) []mirrors.Rule {
	t.Helper()
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		t.Fatal(err)
	}
	scopes, err := mirrors.ParseScopes(insecure)
	if err != nil {
		t.Fatal(err)
	}
	rules := kinds.Merge(parsed, scopes).Rules
	blockers := make(map[string]string)
	for i := range rules {
		if rules[i].Blocked {
			blockers[string(rules[i].Source)] = mirrors.Names(rules[i].BlockedBy)
		}
	}
	s.SetRules(Rules{Digest: sets, Router: route.NewRouter(rules), Blockers: blockers})
	return rules
}

// ask sends a request as containerd does, and returns status, Location and body.
func ask(t testing.TB, s http.Handler, method, path string, headers ...string) (response *httptest.ResponseRecorder) {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1"+path, nil)
	r.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response = httptest.NewRecorder()
	s.ServeHTTP(response, r)
	return response
}

// pathTo is the path of a manifest at one of the redirector's entries.
func pathTo(entry, host, repository, object string) string {
	return testKey.Path(host, route.Entry(entry)) + "/" + repository + "/manifests/" + object + "?ns=" + host
}

// registryAt is a registry that answers in one way, and remembers the requests.
type registryAt struct {
	*httptest.Server
	host string

	mu    sync.Mutex
	asked []*http.Request
}

func (r *registryAt) requests() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// startRegistry starts a registry with TLS that no client trusts, or with plain HTTP.
func startRegistry(t testing.TB, plain bool, answer http.HandlerFunc, options ...func(*tls.Config)) *registryAt {
	t.Helper()
	r := &registryAt{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, req)
		r.mu.Unlock()
		answer(w, req)
	}))
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	if plain {
		r.Start()
	} else {
		r.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		for _, o := range options {
			o(r.TLS)
		}
		r.StartTLS()
	}
	t.Cleanup(r.Close)
	r.host = strings.SplitN(r.URL, "//", 2)[1]
	return r
}

// has answers with the manifest.
func has(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Docker-Content-Digest", manifestDigest)
	_, _ = io.WriteString(w, manifest)
}

// status answers with a status and another body than the manifest's.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.Header().Set("Location", "https://elsewhere.example/")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "something else")
	}
}

// hang answers when the other side gives up.
func hang(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(time.Minute):
	}
}
