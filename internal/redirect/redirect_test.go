// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/redirect/loopback/loopbacktest"
	"github.com/mirrorset/mirrorset/internal/route"
)

func TestEachRankLeadsToTheMirrorOfThatRank(t *testing.T) {
	first, second := startRegistry(t, false, has), startRegistry(t, false, has)
	s := newServer(t, fmt.Sprintf("a: s.com/x -> %s/one, %s\na: s.com -> %s/all/of", first.host, second.host, second.host))
	for _, c := range []struct{ rank, repository, want string }{
		{"0", "x/y", first.host + "/v2/one/y"},
		{"1", "x/y", second.host + "/v2/y"},
		{"0", "x", first.host + "/v2/one"},
		{"1", "x", ""}, // a bare registry is no repository (Q3)
		{"0", "xy", second.host + "/v2/all/of/xy"},
		{"1", "xy", ""},
		{"2", "x/y", ""},
	} {
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			for _, kind := range []string{manifests, blobs} {
				w := ask(t, s, method, testKey.Path("s.com", route.Entry(c.rank))+"/"+c.repository+"/"+kind+"/"+manifestDigest+"?ns=s.com")
				wantCode, wantLocation := http.StatusTemporaryRedirect, "https://"+c.want+"/"+kind+"/"+manifestDigest
				if c.want == "" {
					wantCode, wantLocation = http.StatusNotFound, ""
				}
				if w.Code != wantCode || w.Header().Get("Location") != wantLocation {
					t.Errorf("%s of rank %s for %s/%s: got %d %q, want %d %q", method, c.rank, c.repository, kind, w.Code, w.Header().Get("Location"), wantCode, wantLocation)
				}
			}
		}
	}
}

func TestTheSourceIsWhereTheImagesOwnNameLeads(t *testing.T) {
	s := newServer(t, "a: docker.io/library -> m.com\na: docker.io/shut -> m.com [Never]\na: s.com/x -> m.com")
	for _, c := range []struct{ host, repository, object, want string }{
		{"docker.io", "library/alpine", manifestDigest, "https://registry-1.docker.io/v2/library/alpine/manifests/" + manifestDigest},
		{"docker.io", "library/alpine", "3.22", "https://registry-1.docker.io/v2/library/alpine/manifests/3.22"},
		{"s.com", "y", "latest", "https://s.com/v2/y/manifests/latest"},
		{"nobody.com:5000", "y", "latest", "https://nobody.com:5000/v2/y/manifests/latest"},
	} {
		w := ask(t, s, http.MethodGet, pathTo("source", c.host, c.repository, c.object))
		if w.Code != http.StatusTemporaryRedirect || w.Header().Get("Location") != c.want {
			t.Errorf("%+v: got %d %q", c, w.Code, w.Header().Get("Location"))
		}
	}
}

// message returns the message of an error in the form of the OCI distribution spec.
func message(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body.Errors) != 1 || body.Errors[0].Code == "" {
		t.Fatalf("error %v in %s", err, w.Body)
	}
	return body.Errors[0].Message
}

func TestWhoIsRefusedReadsByWhomAndWhatBecameOfTheMirrors(t *testing.T) {
	gone, wrong := startRegistry(t, false, status(http.StatusNotFound)), startRegistry(t, false, status(http.StatusOK))
	s := newServer(t, fmt.Sprintf("30-airgap: s.com/x -> %s/m, %s/n [Never]\n40-other: s.com/x -> %s/m\na: *.t.com -> m.com [Never]", gone.host, wrong.host, gone.host))
	for _, rank := range []string{"0", "1"} {
		if w := ask(t, s, http.MethodHead, pathTo(rank, "s.com", "x/y", manifestDigest)); w.Code != http.StatusNotFound {
			t.Errorf("rank %s: got %d", rank, w.Code)
		}
	}
	w := ask(t, s, http.MethodGet, pathTo("source", "s.com", "x/y", manifestDigest))
	if w.Code != http.StatusForbidden {
		t.Errorf("got %d", w.Code)
	}
	for _, want := range []string{"source s.com/x is blocked", "NeverContactSource of set 30-airgap",
		gone.host + "/m/y: it answered 404 Not Found", wrong.host + "/n/y: its manifest is another one"} {
		if got := message(t, w); !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	if got := message(t, ask(t, s, http.MethodGet, pathTo("source", "s.com", "x/y", "latest"))); !strings.Contains(got, "30-airgap, and it has no mirror for images by tag") {
		t.Errorf("got %s", got)
	}
	if got := message(t, ask(t, s, http.MethodGet, pathTo("source", "deep.a.t.com", "y", "latest"))); !strings.Contains(got, "source *.t.com is blocked by policy NeverContactSource of set a") {
		t.Errorf("got %s", got)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	s := newServer(t, "a: s.com/x -> m.com\na: docker.io/library -> m.com\na: foo/x -> m.com")
	good := pathTo("0", "s.com", "x/y", manifestDigest)
	for name, path := range map[string]string{
		"the root":                             "/",
		"the API's version":                    "/v2/",
		"the redirector's root":                route.RedirectorPath,
		"an entry alone":                       route.RedirectorPath + "0",
		"a tag that has no mirror":             pathTo("0", "s.com", "x/y", "latest"),
		"a blob by another name than a digest": strings.Replace(pathTo("source", "s.com", "x/y", "latest"), manifests, blobs, 1),
		"a list of tags":                       route.RedirectorPath + "source/x/y/tags/list?ns=s.com",
		"referrers":                            route.RedirectorPath + "source/x/y/referrers/" + manifestDigest + "?ns=s.com",
		"no registry":                          strings.Replace(good, "?ns=s.com", "", 1),
		"a registry with a path":               strings.Replace(good, "s.com", "s.com/x", 1),
		"a registry that is read as a name":    pathTo("0", "foo", "x/y", manifestDigest),
		"a name that has another form":         pathTo("0", "docker.io", "alpine", manifestDigest),
		"no repository":                        route.RedirectorPath + "0/manifests/" + manifestDigest + "?ns=s.com",
		"a repository in capitals":             strings.Replace(good, "x/y", "x/Y", 1),
		"a way up":                             strings.Replace(good, "x/y", "x/../y", 1),
		"an empty element":                     strings.Replace(good, "x/y", "x//y", 1),
		"an escaped slash":                     strings.Replace(good, "x/y", "x%2fy", 1),
		"a digest that is cut off":             strings.TrimSuffix(strings.Replace(good, "?ns=s.com", "", 1), "0")[:len(good)-15] + "?ns=s.com",
		"a digest of an unknown kind":          strings.Replace(good, "sha256:", "md5:", 1),
		"an entry that is none":                strings.Replace(good, "/0/", "/first/", 1),
		"a rank with a sign":                   strings.Replace(good, "/0/", "/+0/", 1),
		"a negative rank":                      strings.Replace(good, "/0/", "/-1/", 1),
		"a rank that is too large":             strings.Replace(good, "/0/", "/99999999999999999999/", 1),
	} {
		if w := ask(t, s, http.MethodGet, path); w.Code != http.StatusNotFound || message(t, w) == "" || w.Header().Get("Location") != "" {
			t.Errorf("%s (%s): got %d %s", name, path, w.Code, w.Header())
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect} {
		if w := ask(t, s, method, good); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: got %d", method, w.Code)
		}
	}
}

func TestAServerWithoutRulesSendsNobodyAnywhere(t *testing.T) {
	s := New(wired(Config{}))
	for _, entry := range []string{"0", "source", "insecure"} {
		if w := ask(t, s, http.MethodGet, pathTo(entry, "s.com", "x/y", manifestDigest)); w.Code != http.StatusServiceUnavailable || w.Header().Get("Location") != "" {
			t.Errorf("%s: got %d %s", entry, w.Code, w.Header())
		}
	}
	setRules(t, s, "")
	if w := ask(t, s, http.MethodGet, pathTo("source", "s.com", "x/y", manifestDigest)); w.Code != http.StatusTemporaryRedirect {
		t.Errorf("with rules that are empty: got %d", w.Code)
	}
}

func TestARequestWithABodyIsRefusedAtOnce(t *testing.T) {
	server := httptest.NewServer(newServer(t, "a: s.com/x -> m.com"))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", pathTo("source", "s.com", "x/y", "latest")); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("error %v, answer %q", err, answer)
	}
}

func TestRulesChangeWhileRequestsAreUnderWay(t *testing.T) {
	s := newServer(t, "a: s.com/x -> m.com [Never]")
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 200 {
				if w := ask(t, s, http.MethodGet, pathTo("source", "s.com", "x/y", "latest")); w.Code != http.StatusForbidden && w.Code != http.StatusTemporaryRedirect {
					t.Errorf("got %d", w.Code)
				}
			}
		})
	}
	for range 100 {
		setRules(t, s, "a: s.com/x -> m.com")
		setRules(t, s, "a: s.com/x -> m.com [Never]")
	}
	asking.Wait()
	if w := ask(t, s, http.MethodGet, pathTo("source", "s.com", "x/y", "latest")); w.Code != http.StatusForbidden {
		t.Errorf("got %d", w.Code)
	}
}

func FuzzRequest(f *testing.F) {
	for _, path := range []string{"0/x/y/manifests/" + manifestDigest, "source/x/y/manifests/latest", "source/x/y/blobs/" + manifestDigest, "self", "0/x/y/manifests/sha256:"} {
		f.Add(path, "s.com")
	}
	s := newServer(f, "a: s.com/x -> m.com [Never]\na: s.com -> (none)")
	s.config.Keys = func() []route.Key { return nil } // an element cannot be found by trying
	f.Fuzz(func(t *testing.T, path, host string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: route.RedirectorPath + path, RawQuery: url.Values{"ns": {host}}.Encode()}}
		q, ok := parse(r)
		if !ok || q.entry != route.Source {
			return // mirrors are asked before they are answered with
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		blocked := host == "s.com" && strings.HasPrefix(q.repository+"/", "x/")
		switch {
		case blocked && w.Code == http.StatusForbidden:
		case !blocked && w.Code == http.StatusTemporaryRedirect:
			location, err := url.Parse(w.Header().Get("Location"))
			if err != nil || location.Host == "" || location.Scheme != "https" || location.RawQuery != "" || !strings.HasPrefix(location.Path, "/v2/"+q.repository+"/") {
				t.Fatalf("error %v, Location %q", err, w.Header())
			}
		case !blocked && strings.HasPrefix(host, "127.") || strings.HasPrefix(host, "localhost"): // streamed
		default:
			t.Fatalf("%s of %s: got %d", path, host, w.Code)
		}
	})
}

func TestTwoRedirectorsOfOneUserServeAPortTogether(t *testing.T) {
	port := freePort(t)
	first, second := New(wired(Config{Port: port})), New(wired(Config{Port: port}))
	for _, s := range []*Server{first, second} {
		l, err := s.Listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s == first {
			defer func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				if status, err := loopbacktest.Answer(t, loopbacktest.Dial(t, first.Address(), loopbacktest.Get(selfPath))); status != http.StatusOK {
					t.Errorf("once one of them has ended: got %d, error %v", status, err)
				}
			}()
			continue
		}
		t.Cleanup(func() { _ = l.Close() })
	}
}

func TestAPortThatSomebodyElseHasIsRefused(t *testing.T) {
	other := startRegistry(t, true, has)
	port := 0
	if _, err := fmt.Sscanf(other.host, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	if _, err := New(wired(Config{Port: port})).Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot listen") {
		t.Errorf("error %v", err)
	}
}

func TestAClosedRedirectorLetsRequestsEnd(t *testing.T) {
	mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond)
		has(w, r)
	})
	s := New(wired(Config{Port: freePort(t)}))
	setRules(t, s, "a: s.com/x -> "+mirror.host+"/m")
	l, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answered := make(chan int)
	go func() {
		resp, err := client.Get("http://" + s.Address() + pathTo("0", "s.com", "x/y", manifestDigest))
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	for len(mirror.requests()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if code := <-answered; code != http.StatusTemporaryRedirect {
		t.Errorf("got %d", code)
	}
}

// freePort returns a port that nothing listens on.
func freePort(t testing.TB) int {
	t.Helper()
	server := httptest.NewServer(nil)
	defer server.Close()
	port := 0
	if _, err := fmt.Sscanf(server.URL, "http://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	return port
}
