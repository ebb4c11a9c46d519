// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// serve makes the redirector listen, so that the test can distinguish broken answers from complete ones.
func serve(t testing.TB, s *Server) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// trusts returns TLS settings with the registry as an authority.
func trusts(r *registryAt) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
}

func TestAnInsecureMirrorIsStreamed(t *testing.T) {
	for _, plain := range []bool{false, true} {
		mirror := startRegistry(t, plain, has)
		s := newServer(t, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			w := ask(t, s, method, pathTo("0", "s.com", "x/y", manifestDigest), "Authorization", "Basic secret")
			if w.Code != http.StatusOK || w.Header().Get("Docker-Content-Digest") != manifestDigest || method == http.MethodGet && w.Body.String() != manifest {
				t.Errorf("plain %t, %s: got %d %s %s", plain, method, w.Code, w.Header(), w.Body)
			}
		}
		for _, r := range mirror.requests() {
			if r.URL.Path != "/v2/m/y/manifests/"+manifestDigest || r.URL.RawQuery != "" || r.Header.Get("Authorization") != "" || r.Header.Get("Accept") == "" {
				t.Errorf("asked %s with %s", r.URL, r.Header)
			}
		}
	}
}

func TestAMirrorWithTLSSettingsOfTheNodesOwnIsStreamed(t *testing.T) {
	closed := func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }
	mirror := startRegistry(t, false, has, closed)
	var own *tls.Config
	var failing error
	s := New(wired(Config{OwnTLS: func(host string) (*tls.Config, error) {
		if host != mirror.host || own == nil {
			return nil, failing
		}
		return own.Clone(), failing
	}}))
	setRules(t, s, "a: s.com/x -> "+mirror.host+"/m")
	path := func(i int) string { return pathTo("0", "s.com", fmt.Sprint("x/y", i), manifestDigest) }
	if w := ask(t, s, http.MethodGet, path(0)); w.Code != http.StatusTemporaryRedirect {
		t.Errorf("without settings: got %d", w.Code)
	}
	own = trusts(mirror)
	if w := ask(t, s, http.MethodGet, path(1)); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "certificate required") {
		t.Errorf("without a client certificate: got %d %s", w.Code, w.Body)
	}
	own.Certificates = mirror.TLS.Certificates
	if w := ask(t, s, http.MethodGet, path(2)); w.Code != http.StatusOK || w.Body.String() != manifest {
		t.Errorf("with a client certificate: got %d %s", w.Code, w.Body)
	}
	own.RootCAs = x509.NewCertPool()
	if w := ask(t, s, http.MethodGet, path(3)); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "unknown authority") {
		t.Errorf("with another authority: got %d %s", w.Code, w.Body)
	}
	failing = errors.New("no key")
	if w := ask(t, s, http.MethodGet, path(4)); w.Code != http.StatusNotFound || !strings.Contains(message(t, w), "no key") {
		t.Errorf("with settings that are broken: got %d %s", w.Code, w.Body)
	}
}

func TestAStreamedMirrorThatIsNoGoodIsPassedOver(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"does not have it":  {status(404), "404 Not Found"},
		"fails":             {status(503), "503 Service Unavailable"},
		"wants credentials": {status(401), "there is no login for it"},
		"lets nobody in":    {status(403), "there is no login for it"},
		"has other content": {status(200), "another one"},
		"has no content":    {status(204), "204 No Content"},
		"has a part":        {status(206), "206 Partial Content"},
		"sends on to no end": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, "redirects more than 10 times"},
	} {
		mirror := startRegistry(t, true, c.answer)
		s := newServer(t, "a: s.com/x -> "+mirror.host+"/m [Never]", mirror.host)
		w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", manifestDigest))
		if w.Code != http.StatusNotFound || !strings.Contains(message(t, w), c.want) || w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%s: got %d %s %s", name, w.Code, w.Header(), w.Body)
		}
		if w := ask(t, s, http.MethodGet, pathTo("source", "s.com", "x/y", manifestDigest)); !strings.Contains(message(t, w), c.want) {
			t.Errorf("%s: who is refused reads %s", name, w.Body)
		}
	}
}

func TestTheHeadersOfAStreamedManifestTellItsSize(t *testing.T) {
	large := strings.Repeat(manifest, 1000)
	mirror := startRegistry(t, true, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, large[:1])
		_ = http.NewResponseController(w).Flush() // in chunks, whose sum nobody says
		_, _ = io.WriteString(w, large[1:])
	})
	server := serve(t, newServer(t, "a: s.com/x -> "+mirror.host+"/m", mirror.host))
	resp, err := server.Client().Head(server.URL + pathTo("0", "s.com", "x/y", digest.FromString(large).String()))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength != int64(len(large)) {
		t.Errorf("got %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
}

func TestABlobIsNotStreamedFromARepositoryWithAWrongManifest(t *testing.T) {
	portal := startRegistry(t, true, status(http.StatusOK))
	for _, method := range []string{http.MethodHead, http.MethodGet} { // containerd begins with either
		s := newServer(t, "a: s.com/x -> "+portal.host+"/m", portal.host)
		manifest := pathTo("0", "s.com", "x/y", manifestDigest)
		for _, path := range []string{manifest, strings.Replace(manifest, manifests, blobs, 1)} {
			if w := ask(t, s, method, path); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "another one") {
				t.Errorf("%s %s: got %d %s", method, path, w.Code, w.Body)
			}
		}
	}
}

func TestAStreamedManifestHasToComeInTime(t *testing.T) {
	mirror := startRegistry(t, true, func(w http.ResponseWriter, r *http.Request) {
		for range 1000 {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			if time.Sleep(20 * time.Millisecond); r.Context().Err() != nil {
				return
			}
		}
	})
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	s.scout.deadline = 300 * time.Millisecond
	began := time.Now()
	if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", "x/y", manifestDigest)); w.Code != http.StatusNotFound || time.Since(began) > 3*time.Second {
		t.Errorf("got %d after %s", w.Code, time.Since(began))
	}
}

func TestAPlainMirrorThatLetsTLSHangIsReached(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mirror := httptest.NewUnstartedServer(http.HandlerFunc(has))
	_ = mirror.Listener.Close()
	mirror.Listener = tlsHangs{listener}
	mirror.Start()
	t.Cleanup(mirror.Close)
	host := listener.Addr().String()
	s := newServer(t, "a: s.com/x -> "+host+"/m", host)
	s.scout.deadline = 400 * time.Millisecond
	for i, most := range []time.Duration{5 * time.Second, 150 * time.Millisecond} {
		began := time.Now()
		if w := ask(t, s, http.MethodGet, pathTo("0", "s.com", fmt.Sprint("x/", i), manifestDigest)); w.Code != http.StatusOK || time.Since(began) > most {
			t.Errorf("request %d: got %d %s after %s", i, w.Code, w.Body, time.Since(began))
		}
	}
}

// tlsHangs is a listener that never answers a TLS client.
type tlsHangs struct{ net.Listener }

func (l tlsHangs) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		begun := bufio.NewReader(conn)
		if first, err := begun.Peek(1); err == nil && first[0] != 0x16 {
			return begunConn{conn, begun}, nil
		}
	}
}

type begunConn struct {
	net.Conn
	begun *bufio.Reader
}

func (c begunConn) Read(p []byte) (int, error) { return c.begun.Read(p) }

func TestALayerIsStreamedWhole(t *testing.T) {
	layer := bytes.Repeat([]byte("0123456789abcdef"), 300_000)
	blob := digest.FromBytes(layer).String()
	mirror := startRegistry(t, true, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/cut/"):
			w.Header().Set("Content-Length", fmt.Sprint(len(layer)))
			_, _ = w.Write(layer[:len(layer)/2])
			panic(http.ErrAbortHandler)
		default:
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(layer))
		}
	})
	s := newServer(t, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	server := serve(t, s)
	get := func(repository, ranges string) (int, []byte, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+strings.Replace(pathTo("0", "s.com", repository, blob), manifests, blobs, 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		if ranges != "" {
			req.Header.Set("Range", ranges)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, body, err
	}
	if code, body, err := get("x/y", ""); code != http.StatusOK || !bytes.Equal(body, layer) || err != nil {
		t.Errorf("whole: got %d, %d bytes, error %v", code, len(body), err)
	}
	if code, body, err := get("x/y", "bytes=1000000-"); code != http.StatusPartialContent || !bytes.Equal(body, layer[1_000_000:]) || err != nil {
		t.Errorf("from an offset: got %d, %d bytes, error %v", code, len(body), err)
	}
	if code, body, err := get("x/cut/y", ""); err == nil {
		t.Errorf("cut off: got %d, %d bytes, and no error", code, len(body))
	}
}

func TestAnInsecureSourceIsStreamedForTagsToo(t *testing.T) {
	for code, want := range map[int]int{200: 200, 404: 404, 401: 403, 500: 500} {
		answer := status(code)
		if code == 200 {
			answer = has
		}
		source := startRegistry(t, true, answer)
		s := newServer(t, fmt.Sprintf("a: %s/shut -> m.com [Never]\na: %s/x -> m.com", source.host, source.host), source.host)
		for _, object := range []string{"latest", manifestDigest} {
			w := ask(t, s, http.MethodGet, pathTo("source", source.host, "x/y", object))
			if w.Code != want || code == 200 && w.Body.String() != manifest || w.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%d of %s: got %d %s %s", code, object, w.Code, w.Header(), w.Body)
			}
		}
		if w := ask(t, s, http.MethodGet, pathTo("source", source.host, "shut/y", "latest")); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), source.host+"/shut/y ") {
			t.Errorf("a blocked part of it: got %d %s", w.Code, w.Body)
		}
	}
	open := startRegistry(t, true, has)
	if w := ask(t, newServer(t, "a: "+open.host+"/x -> m.com", open.host), http.MethodGet, pathTo("source", open.host, "x/y", "latest")); w.Code != http.StatusOK {
		t.Errorf("where nothing is blocked: got %d", w.Code)
	}
	s := newServer(t, "a: 127.0.0.1:1/shut -> m.com [Never]")
	if w := ask(t, s, http.MethodGet, pathTo("source", "127.0.0.1:1", "x", "latest")); w.Code != http.StatusBadGateway {
		t.Errorf("a source that is away: got %d", w.Code)
	}
}
