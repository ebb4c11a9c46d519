// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

// client is one of a runtime: it follows redirects, and takes any certificate in place of a trust store.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 4, ReadBufferSize: chunk, DisableCompression: true,
	}}
}

// fetch reads a response to its end.
func fetch(b *testing.B, c *http.Client, url string, want int64) {
	b.Helper()
	resp, err := c.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, chunk))
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || n != want {
		b.Fatalf("status %d, %d bytes, error %v", resp.StatusCode, n, err)
	}
}

// BenchmarkRequest is what the redirector costs a request for a manifest: with the mirror asked before each one, with its
// answer still fresh, and against a mirror that is asked directly.
func BenchmarkRequest(b *testing.B) {
	mirror := startRegistry(b, false, has)
	s := newServer(b, "a: s.com/x -> "+mirror.host+"/m")
	server := httptest.NewServer(s)
	defer server.Close()
	through := server.URL + pathTo("0", "s.com", "x/y", manifestDigest)
	direct := mirror.URL + "/v2/m/y/manifests/" + manifestDigest
	for _, c := range []struct {
		name, url string
		forget    bool
	}{{"direct", direct, false}, {"redirected", through, false}, {"redirected-asked-first", through, true}} {
		b.Run(c.name, func(b *testing.B) {
			runtime := client()
			var took []time.Duration
			for b.Loop() {
				started := time.Now()
				if c.forget {
					s.scout.memory.mu.Lock()
					clear(s.scout.memory.verdicts)
					s.scout.memory.mu.Unlock()
				}
				fetch(b, runtime, c.url, int64(len(manifest)))
				took = append(took, time.Since(started))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
		})
	}
}

// BenchmarkLayer is the throughput of a layer of 1 GiB: from the mirror, by way of a redirect to it, and streamed; over TLS, with a login.
func BenchmarkLayer(b *testing.B) {
	const size = 1 << 30
	block := make([]byte, chunk)
	layer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		if r.Method == http.MethodHead {
			return
		}
		for range size / chunk {
			_, _ = w.Write(block)
		}
	}
	secure, insecure := startRegistry(b, false, layer), startRegistry(b, true, layer)
	corp := newAuthority(b)
	private := corp.start(b, func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); p != "secret1" {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		layer(w, r)
	})
	s := newGranted(b, fmt.Sprintf("a: s.com/secure -> %s/m\na: s.com/private -> %s/m\na: s.com/insecure -> %s/m", secure.host, private.host, insecure.host),
		grant(b, map[string]login{private.host: password("ann", "secret1")}, corp, private), insecure.host)
	server := httptest.NewServer(s)
	defer server.Close()
	at := func(repository string) string {
		return server.URL + strings.Replace(pathTo("0", "s.com", repository, manifestDigest), manifests, blobs, 1)
	}
	for _, c := range []struct{ name, url string }{
		{"tls/direct", secure.URL + "/v2/m/y/blobs/" + manifestDigest},
		{"tls/redirected", at("secure/y")},
		{"tls/streamed", at("private/y")},
		{"plain/direct", insecure.URL + "/v2/m/y/blobs/" + manifestDigest},
		{"plain/streamed", at("insecure/y")},
	} {
		b.Run(c.name, func(b *testing.B) {
			runtime := client()
			b.SetBytes(size)
			for b.Loop() {
				fetch(b, runtime, c.url, size)
			}
		})
	}
}

// BenchmarkAccess is what a streamed request costs before the mirror is asked, with many logins and an authority.
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

// BenchmarkRoute is one look-up, which must not depend on the number of rules.
func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var sets strings.Builder
			for i := range n {
				fmt.Fprintf(&sets, "a: s.com/team%d/app -> m.com/team%d, n.com/team%d\n", i, i, i)
			}
			if _, err := mirrorstest.Parse(sets.String()); err != nil {
				b.Fatal(err)
			}
			s := newServer(b, sets.String())
			for b.Loop() {
				if route := s.rules.Load().Router.Route("s.com", "team50/app/deep/image", mirrors.ByDigest); len(route.Mirrors) != 2 {
					b.Fatalf("%+v", route)
				}
			}
		})
	}
}
