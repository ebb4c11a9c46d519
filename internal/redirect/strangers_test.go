// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/redirect/loopback/loopbacktest"
	"github.com/mirrorset/mirrorset/internal/route"
)

// listening starts a redirector whose entries only the key opens.
func listening(t *testing.T, key route.Key, sets string) *Server {
	t.Helper()
	s := New(wired(Config{Port: freePort(t), Keys: func() []route.Key { return []route.Key{key} }, Log: logr.Discard()}))
	setRules(t, s, sets)
	listenFor(t, s)
	return s
}

// listenFor makes a redirector listen for as long as the test runs.
func listenFor(t testing.TB, s *Server) {
	t.Helper()
	l, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestThousandsOfConnectionsOfAStrangerKeepOutNoPull(t *testing.T) {
	const key = route.Key("now")
	s := listening(t, key, "a: s.com/x -> (none)\nb: s.com/y -> m.com [Never]")
	pull := loopbacktest.Get(key.Path("s.com", route.Source) + "/x/app/manifests/" + manifestDigest + "?ns=s.com")
	texts := []string{"", "G", "GET /v2/ HTTP/1.1\r\nX-Slow: ", loopbacktest.Get("/v2/_mirrorset/source/x/app/manifests/latest?ns=s.com"), "\x16\x03\x01garbage"}
	for i := range 5000 {
		loopbacktest.Dial(t, s.Address(), texts[i%len(texts)])
	}
	for i := range 100 {
		if status, err := loopbacktest.Answer(t, loopbacktest.Dial(t, s.Address(), pull)); status != http.StatusTemporaryRedirect {
			t.Fatalf("request %d: status %d, error %v", i, status, err)
		}
	}
	n := established(t, s.config.Port)
	for range 200 { // one that is dismissed ends once the server no longer reads from it
		if n <= maxConnections {
			return
		}
		time.Sleep(50 * time.Millisecond)
		n = established(t, s.config.Port)
	}
	t.Errorf("it holds %d connections", n)
}

// established counts the connections that the kernel has at a port of 127.0.0.1.
func established(t *testing.T, port int) (n int) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); fields[1] == fmt.Sprintf("0100007F:%04X", port) && fields[3] == "01" {
			n++
		}
	}
	return n
}

func TestAnAnswerToAPullOutlivesThousandsOfStrangers(t *testing.T) {
	const key = route.Key("now")
	asked, answers := make(chan struct{}), make(chan struct{})
	mirror := startRegistry(t, false, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-answers
		has(w, r)
	})
	s := listening(t, key, "a: s.com/x -> "+mirror.host+"/m")
	pull := loopbacktest.Dial(t, s.Address(), loopbacktest.Get(key.Path("s.com", "0")+"/x/app/manifests/"+manifestDigest+"?ns=s.com"))
	<-asked
	for range 2 * maxConnections {
		loopbacktest.Dial(t, s.Address(), "")
	}
	if status, err := loopbacktest.Answer(t, loopbacktest.Dial(t, s.Address(), loopbacktest.Get(selfPath))); status != http.StatusOK {
		t.Fatalf("status %d, error %v", status, err)
	}
	close(answers)
	if status, err := loopbacktest.Answer(t, pull); status != http.StatusTemporaryRedirect {
		t.Errorf("status %d, error %v", status, err)
	}
}

func TestOrdinaryPullingNeverWaitsForItsOwnIdleConnections(t *testing.T) {
	const key = route.Key("now")
	s := listening(t, key, "a: s.com/x -> (none)\nb: s.com/y -> m.com [Never]")
	pull := loopbacktest.Get(key.Path("s.com", route.Source) + "/x/app/manifests/" + manifestDigest + "?ns=s.com")
	deadline := time.Now().Add(time.Minute / 2) // in which idle connections that had to end by themselves would make room six times
	for i := range 10 * maxConnections {        // each is left idle, as containerd leaves them
		if time.Now().After(deadline) {
			t.Fatalf("only %d pulls were answered", i)
		}
		if status, err := loopbacktest.Answer(t, loopbacktest.Dial(t, s.Address(), pull)); status != http.StatusTemporaryRedirect {
			t.Fatalf("pull %d: status %d, error %v", i, status, err)
		}
	}
}

func TestAConnectionThatRestsIsClosedAfterSeconds(t *testing.T) {
	const key = route.Key("now")
	s := listening(t, key, "a: s.com/x -> (none)")
	c := loopbacktest.Dial(t, s.Address(), loopbacktest.Get(key.Path("s.com", route.Source)+"/x/app/manifests/"+manifestDigest+"?ns=s.com"))
	if status, err := loopbacktest.Answer(t, c); status != http.StatusTemporaryRedirect {
		t.Fatalf("status %d, error %v", status, err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // within the deadline of half a minute
		t.Error(fmt.Errorf("it stays: %w", err))
	}
}
