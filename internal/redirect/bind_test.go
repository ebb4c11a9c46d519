// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package redirect

import (
	"net"
	"net/http"
	"testing"

	"github.com/mirrorset/mirrorset/internal/redirect/loopback"
	"github.com/mirrorset/mirrorset/internal/redirect/loopback/loopbacktest"
)

func TestASocketThatIsHeldTakesConnectionsOnlyWhileARedirectorListens(t *testing.T) {
	port := freePort(t)
	socket, err := loopback.Bind(port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	s := New(wired(Config{Port: port, Socket: socket}))
	refused := func(when string) {
		t.Helper()
		if c, err := net.Dial("tcp4", s.Address()); err == nil {
			_ = c.Close()
			t.Errorf("%s, a connection is taken", when)
		}
	}
	refused("before the redirector listens")
	for range 2 { // as one does that ended and is started again
		l, err := s.Listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status, err := loopbacktest.Answer(t, loopbacktest.Dial(t, s.Address(), loopbacktest.Get(selfPath))); status != http.StatusOK {
			t.Errorf("status %d, error %v", status, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		refused("once it is closed")
	}
	if _, err := loopback.Bind(startForeign(t)); err == nil {
		t.Error("a port that somebody else has is bound")
	}
}

// startForeign starts a listener that shares its port with no other socket.
func startForeign(t *testing.T) (port int) {
	t.Helper()
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	address, _ := listener.Addr().(*net.TCPAddr) // which is what TCP has
	return address.Port
}
