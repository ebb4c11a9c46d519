// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/redirect/loopback/loopbacktest"
)

// held is a listener that holds few connections, with a server. The server lets in clients that request /in, and answers /wait when the test lets it.
type held struct {
	*connections
	answer chan struct{}
	asked  chan struct{}
}

func startHeld(t *testing.T, most int) *held {
	t.Helper()
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	h := &held{hold(listener, most), make(chan struct{}), make(chan struct{}, most)}
	server := &http.Server{ConnContext: WithConnection, ConnState: NoteState, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/out" {
			NoteLetIn(r)
		}
		if r.URL.Path == "/wait" {
			h.asked <- struct{}{}
			<-h.answer
		}
	})}
	ended := make(chan error)
	go func() { ended <- server.Serve(h) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute/2)
		defer cancel()
		_ = server.Shutdown(ctx)
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		_ = server.Close()
	})
	return h
}

// opens returns a new connection, once its request has been answered.
func (h *held) opens(t *testing.T, path string) net.Conn {
	t.Helper()
	c := loopbacktest.Dial(t, h.Addr().String(), loopbacktest.Get(path))
	if status, err := loopbacktest.Answer(t, c); status != http.StatusOK {
		t.Fatalf("%s: status %d, error %v", path, status, err)
	}
	return c
}

// waits returns a new connection whose answer is not complete.
func (h *held) waits(t *testing.T) net.Conn {
	t.Helper()
	c := loopbacktest.Dial(t, h.Addr().String(), loopbacktest.Get("/wait"))
	<-h.asked
	return c
}

// settles waits until each standing has this many connections.
func (h *held) settles(t *testing.T, want ...int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute / 2); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		got := []int{h.by[stranger].Len(), h.by[resting].Len(), h.by[answering].Len()}
		h.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("strangers, resting, answering: %v, want %v", got, want)
		}
	}
}

// staysOpen reports if another request on the connection is answered.
func staysOpen(t *testing.T, c net.Conn) bool {
	t.Helper()
	if _, err := io.WriteString(c, loopbacktest.Get("/out")); err != nil {
		return false
	}
	status, err := loopbacktest.Answer(t, c)
	return err == nil && status == http.StatusOK
}

func TestANewConnectionTakesThePlaceOfTheOneNeededLeast(t *testing.T) {
	for _, c := range []struct {
		name string
		has  []string // in the order of their coming
		gone string   // the index of the one that goes
	}{
		{"the first of the strangers", []string{"/in", "/out", "/out", "/wait"}, "1"},
		{"a stranger, where all others are being answered", []string{"/wait", "/wait", "/out", "/wait"}, "2"},
		{"the one that has rested longest, without strangers", []string{"/wait", "/in", "/in", "/wait"}, "1"},
		{"the one that has rested longest, with few strangers, so that a new one has the time to ask", []string{"/out", "/in", "/in", "/wait"}, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := startHeld(t, len(c.has))
			var there []net.Conn
			counts := [3]int{}
			for _, path := range c.has {
				if path == "/wait" {
					counts[answering]++
					there = append(there, h.waits(t))
				} else {
					counts[map[string]standing{"/in": resting, "/out": stranger}[path]]++
					there = append(there, h.opens(t, path))
				}
				h.settles(t, counts[:]...)
			}
			h.opens(t, "/in")
			close(h.answer)
			var gone string
			for i, conn := range there {
				if c.has[i] == "/wait" {
					if status, err := loopbacktest.Answer(t, conn); status != http.StatusOK {
						t.Errorf("an answer was broken off: status %d, error %v", status, err)
					}
				} else if !staysOpen(t, conn) {
					gone += strconv.Itoa(i)
				}
			}
			if gone != c.gone {
				t.Errorf("closed: %q, want %q", gone, c.gone)
			}
		})
	}
}

func TestAnAnswerIsNeverBrokenOffForANewConnection(t *testing.T) {
	h := startHeld(t, 2)
	first, second := h.waits(t), h.waits(t)
	third := loopbacktest.Dial(t, h.Addr().String(), loopbacktest.Get("/in"))
	close(h.answer)
	for i, c := range []net.Conn{first, second, third} {
		if status, err := loopbacktest.Answer(t, c); status != http.StatusOK {
			t.Errorf("connection %d: status %d, error %v", i, status, err)
		}
	}
}

func TestAConnectionThatEndsMakesRoom(t *testing.T) {
	h := startHeld(t, 1)
	loopbacktest.Dial(t, h.Addr().String(), "GET /wait HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") // it never rests
	<-h.asked
	second := loopbacktest.Dial(t, h.Addr().String(), loopbacktest.Get("/in"))
	time.Sleep(50 * time.Millisecond) // so that it waits, mostly; the test holds without
	close(h.answer)
	if status, err := loopbacktest.Answer(t, second); status != http.StatusOK {
		t.Errorf("status %d, error %v", status, err)
	}
}

func TestAListenerThatIsClosedWaitsForNoRoom(t *testing.T) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := hold(listener, 1)
	loopbacktest.Dial(t, l.Addr().String(), "")
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	NoteLetIn((&http.Request{}).WithContext(WithConnection(t.Context(), first)))
	loopbacktest.Dial(t, l.Addr().String(), "")
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	time.Sleep(50 * time.Millisecond) // so that it waits, mostly; the test holds without
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(<-ended, first.Close()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
}
