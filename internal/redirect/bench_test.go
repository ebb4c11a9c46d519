// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/opencontainers/go-digest"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorset/mirrorset/internal/agent/certs/tally"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
)

// client returns a client like that of a runtime that keeps its connections. It follows no redirect, and accepts any certificate instead of using a
// trust store.
func client(b *testing.B) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// fetch reads one answer and checks its status.
func fetch(b *testing.B, c *http.Client, at string, status int) (location string) {
	b.Helper()
	resp, err := c.Get(at)
	if err != nil {
		b.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != status {
		b.Fatalf("%s: status %d, error %v", at, resp.StatusCode, err)
	}
	return resp.Header.Get("Location")
}

// startCounting starts a redirector at a port of its own, and returns it with its URL. It counts as an agent's redirector does, and trusts an
// authority.
func startCounting(b *testing.B, by *authority, sets string) (s *Server, at string) {
	b.Helper()
	trusted := x509.NewCertPool()
	trusted.AddCert(by.certificate)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests"}, []string{"result"})
	counted := tally.New(func() { s.Settle() })
	s = New(wired(Config{
		Port: freePort(b), Roots: func() *x509.CertPool { return trusted }, Log: logr.Discard(), Tried: func(t tries.Try) { counted.Tried(t) }, AtSource: counted.AtSource,
		Answered: func(r Result) { requests.WithLabelValues(string(r)).Inc() },
	}))
	counted.Keep(setRules(b, s, sets), nil)
	listenFor(b, s)
	return s, "http://" + s.Address()
}

// measure also reports the processor time of a request, for the client, the server and the mirror together. Other programs disturb this figure less.
func measure(b *testing.B, request func(i int)) {
	b.ReportAllocs()
	before := processor(b)
	for i := 0; b.Loop(); i++ {
		request(i)
	}
	b.ReportMetric(float64((processor(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// BenchmarkRedirect measures a complete request over a kept connection, for one of many layers whose mirror was contacted a moment ago. It also
// measures a request to a server of net/http that answers each request with a constant redirect of the same length.
func BenchmarkRedirect(b *testing.B) {
	for _, rules := range []int{10, 10_000} {
		corp := newAuthority(b)
		mirror := corp.start(b, has)
		var sets strings.Builder
		for i := range rules {
			fmt.Fprintf(&sets, "a: s.com/team%d/app -> %s/team%d\n", i, mirror.host, i)
		}
		s, redirector := startCounting(b, corp, sets.String())
		runtime := client(b)
		var layers [1000]string
		var location string
		for i := range layers {
			layers[i] = blobAt(pathTo("0", "s.com", "team7/app/server", fmt.Sprintf("sha256:%064d", i)))
			location = fetch(b, runtime, redirector+layers[i], http.StatusTemporaryRedirect)
		}
		s.scout.memory.keep(time.Hour)
		bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))
		defer bare.Close()
		for _, c := range []struct{ way, url string }{{"mirrorset", redirector}, {"bare", bare.URL}} {
			b.Run(fmt.Sprintf("rules=%d/way=%s", rules, c.way), func(b *testing.B) {
				measure(b, func(i int) { fetch(b, runtime, c.url+layers[i%len(layers)], http.StatusTemporaryRedirect) })
			})
		}
	}
}

// BenchmarkAsk measures a complete request for a manifest whose mirror the redirector contacts first. It also measures a request that a reverse proxy
// passes on to the mirror, and a request to the mirror itself.
func BenchmarkAsk(b *testing.B) {
	corp, contents := newAuthority(b), make(map[string]string)
	var digests []string
	for i := range 1000 {
		content := fmt.Sprintf(`{"schemaVersion":2,"layers":[%d]}`, i)
		digests = append(digests, digest.FromString(content).String())
		contents[digests[i]] = content
	}
	mirror := corp.start(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, contents[path.Base(r.URL.Path)])
	})
	s, redirector := startCounting(b, corp, "a: s.com/x -> "+mirror.host+"/m")
	at, err := url.Parse(mirror.URL)
	if err != nil {
		b.Fatal(err)
	}
	runtime := client(b)
	passing := httputil.NewSingleHostReverseProxy(at)
	passing.Transport = client(b).Transport
	proxy := httptest.NewServer(passing)
	defer proxy.Close()
	for _, c := range []struct {
		way    string
		at     func(digest string) string
		status int
	}{
		{"mirrorset", func(d string) string { return redirector + pathTo("0", "s.com", "x/y", d) }, http.StatusTemporaryRedirect},
		{"proxy", func(d string) string { return proxy.URL + "/v2/m/y/manifests/" + d }, http.StatusOK},
		{"direct", func(d string) string { return mirror.URL + "/v2/m/y/manifests/" + d }, http.StatusOK},
	} {
		b.Run("way="+c.way, func(b *testing.B) {
			measure(b, func(i int) {
				s.scout.memory.mu.Lock()
				clear(s.scout.memory.verdicts)
				s.scout.memory.mu.Unlock()
				fetch(b, runtime, c.at(digests[i%len(digests)]), c.status)
			})
		})
	}
}

// keep makes all known verdicts valid for this long from now on.
func (m *memory) keep(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for of, v := range m.verdicts {
		v.until = time.Now().Add(d)
		m.verdicts[of] = v
	}
}

// BenchmarkAccess measures the cost of a streamed request before the mirror is contacted, with many logins and an authority.
func BenchmarkAccess(b *testing.B) {
	corp, mirror := newAuthority(b), &registryAt{host: "m.com:5000"}
	logins := make(map[string]login)
	for i := range 200 {
		logins[fmt.Sprintf("m.com:5000/team%d", i)] = password("ann", "secret1")
	}
	s := newGranted(b, "a: s.com/x -> m.com:5000/team7", grant(b, logins, corp, mirror))
	way := s.rules.Load().Router.Route("s.com", "x/y", mirrors.ByDigest)
	b.ReportAllocs()
	for b.Loop() {
		if how, err := s.relay.accessTo(way.Mirrors[0], s.rules.Load().Grants); err != nil || how.key != "m.com:5000/team7" {
			b.Fatalf("%+v, error %v", how, err)
		}
	}
}
