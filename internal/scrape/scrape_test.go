// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package scrape

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

// The tokens that the API server of these tests knows. test/integration asks a real one.
const (
	reader   = "reader"
	stranger = "stranger"
)

// apiServer reviews tokens, and counts how often it is asked.
type apiServer struct {
	*httptest.Server
	asked atomic.Int32
	fails atomic.Bool
}

func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	a := &apiServer{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		if a.fails.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		var reply any
		switch r.Method + " " + r.URL.Path {
		case "POST /apis/authentication.k8s.io/v1/tokenreviews":
			review := &authenticationv1.TokenReview{}
			if err := json.NewDecoder(r.Body).Decode(review); err != nil {
				t.Error(err)
			}
			if token := review.Spec.Token; token == reader || token == stranger {
				review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{
					Username: token, UID: "1", Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"x": {"y"}},
				}}
			}
			reply = review
		case "POST /apis/authorization.k8s.io/v1/subjectaccessreviews":
			review := &authorizationv1.SubjectAccessReview{}
			if err := json.NewDecoder(r.Body).Decode(review); err != nil {
				t.Error(err)
			}
			spec := review.Spec
			if spec.UID != "1" || len(spec.Groups) != 1 || len(spec.Extra["x"]) != 1 || *spec.NonResourceAttributes != (authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"}) {
				t.Errorf("asked about %+v", spec)
			}
			review.Status.Allowed = spec.User == reader
			reply = review
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(reply); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// running is a server under test.
type running struct {
	url    string
	client *http.Client
	stop   func()

	mu  sync.Mutex
	log strings.Builder
}

func (r *running) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// start runs a server at an address, and waits until it serves, unless it is to wait for the address.
func start(t *testing.T, address string, api *apiServer, waits bool) *running {
	t.Helper()
	r := &running{url: "https://" + address, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
	}}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "answer"}, func() float64 { return 42 }))
	s, err := New(address, registry, &rest.Config{Host: api.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, funcr.New(func(_, args string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.log.WriteString(args + "\n")
	}, funcr.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	s.headerTimeout = time.Second
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	r.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(r.stop)
	want := "Serving metrics"
	if waits {
		want = "Not serving metrics yet"
	}
	eventually(t, want, func() bool { return strings.Contains(r.logged(), want) })
	return r
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("%s: never", what)
}

// answer is what a request came to.
type answer struct {
	status       int
	body         string
	closes       bool
	major        int
	secureEnough bool
}

// get sends a request, without a token if that is empty.
func (r *running) get(t *testing.T, method, path, token string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return answer{
		status: resp.StatusCode, body: string(body), closes: resp.Close, major: resp.ProtoMajor,
		secureEnough: resp.TLS != nil && resp.TLS.Version >= tls.VersionTLS12,
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func TestOnlyWhoMayReadTheMetricsGetsThem(t *testing.T) {
	s := start(t, freeAddress(t), startAPIServer(t), false)
	for _, c := range []struct {
		name, method, path, token string
		status                    int
	}{
		{"who may", http.MethodGet, "/metrics", reader, http.StatusOK},
		{"who may not", http.MethodGet, "/metrics", stranger, http.StatusForbidden},
		{"a token of nobody", http.MethodGet, "/metrics", "nobody", http.StatusUnauthorized},
		{"no token", http.MethodGet, "/metrics", "", http.StatusUnauthorized},
		{"a token that is too long", http.MethodGet, "/metrics", strings.Repeat("x", maxTokenSize+1), http.StatusUnauthorized},
		{"another path", http.MethodGet, "/debug/pprof/", reader, http.StatusNotFound},
		{"another method", http.MethodPost, "/metrics", reader, http.StatusNotFound},
	} {
		for range 2 { // also by what is remembered
			got, let := s.get(t, c.method, c.path, c.token), c.status == http.StatusOK
			if got.status != c.status || strings.Contains(got.body, "answer 42") != let || got.closes == let || got.major != 1 || !got.secureEnough {
				t.Errorf("%s: got %+v", c.name, got)
			}
		}
	}
}

func TestTheAPIServerIsAskedOnceForAWhile(t *testing.T) {
	api := startAPIServer(t)
	s := start(t, freeAddress(t), api, false)
	for token, want := range map[string]int32{reader: 2, stranger: 2, "nobody": 1, "": 0, strings.Repeat("x", maxTokenSize+1): 0} {
		api.asked.Store(0)
		for range 5 {
			s.get(t, http.MethodGet, "/metrics", token)
		}
		if got := api.asked.Load(); got != want {
			t.Errorf("%.10q: asked %d times, want %d", token, got, want)
		}
	}
}

func TestWithoutTheAPIServersWordNobodyNewIsLetIn(t *testing.T) {
	api := startAPIServer(t)
	s := start(t, freeAddress(t), api, false)
	s.get(t, http.MethodGet, "/metrics", reader)
	api.fails.Store(true)
	if got := s.get(t, http.MethodGet, "/metrics", reader); got.status != http.StatusOK {
		t.Errorf("who was let in a moment ago: got %d", got.status)
	}
	for range 3 {
		if got := s.get(t, http.MethodGet, "/metrics", stranger); got.status != http.StatusServiceUnavailable || strings.Contains(got.body, "answer") {
			t.Errorf("who was not: got %+v", got)
		}
	}
	if n := strings.Count(s.logged(), "Cannot check who may read the metrics"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, s.logged())
	}
	api.fails.Store(false)
	if got := s.get(t, http.MethodGet, "/metrics", stranger); got.status != http.StatusForbidden {
		t.Errorf("with its word: got %d", got.status)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	g := &gate{known: map[[32]byte]verdict{}}
	for i := range 3 * maxRemember {
		g.remember([32]byte{byte(i), byte(i >> 8)}, http.StatusUnauthorized)
	}
	if len(g.known) > maxRemember {
		t.Errorf("%d tokens are remembered", len(g.known))
	}
}

func TestASuccessorWaitsForTheAddress(t *testing.T) {
	api, address := startAPIServer(t), freeAddress(t)
	first := start(t, address, api, false)
	second := start(t, address, api, true)
	time.Sleep(2 * listenAgain)
	if n := strings.Count(second.logged(), "Not serving metrics yet"); n != 1 {
		t.Errorf("it says %d times that it waits:\n%s", n, second.logged())
	}
	first.stop()
	eventually(t, "the successor serves", func() bool { return strings.Contains(second.logged(), "Serving metrics") })
	if got := second.get(t, http.MethodGet, "/metrics", reader); got.status != http.StatusOK {
		t.Errorf("got %d", got.status)
	}
	second.stop()
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Error("once both have ended, somebody still listens")
	}
}

func TestWhoSaysNothingHoldsNoPlaceForLong(t *testing.T) {
	address := freeAddress(t)
	s := start(t, address, startAPIServer(t), false)
	var silent []net.Conn
	for range maxConnections {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		silent = append(silent, conn)
	}
	s.client.Timeout = 300 * time.Millisecond
	if resp, err := s.client.Get(s.url + "/metrics"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("one more than %d was served", len(silent))
	}
	s.client.Timeout = 4 * time.Second
	began := time.Now()
	resp, err := s.client.Get(s.url + "/metrics")
	if err != nil {
		t.Fatalf("after %s: %v", time.Since(began), err)
	}
	_ = resp.Body.Close()
}
