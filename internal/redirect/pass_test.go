// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/redirect/loopback/loopbacktest"
)

// streaming starts a redirector that streams layers from a mirror without TLS. It returns both, and the path of a layer there.
func streaming(t *testing.T, answer http.HandlerFunc) (s *Server, mirror *registryAt, path string) {
	t.Helper()
	mirror = startRegistry(t, true, answer)
	s = New(wired(Config{Port: freePort(t), Log: logr.Discard()}))
	setRules(t, s, "a: s.com/x -> "+mirror.host+"/m", mirror.host)
	listenFor(t, s)
	return s, mirror, blobPath("0", "x/y")
}

// outcome returns the entry of the access log for the only try, once there is one.
func outcome(t *testing.T, s *Server) (try accesslog.Tries) {
	t.Helper()
	eventually(t, "the access log has the try", func() bool {
		pulls := s.config.Pulls.Pulls()
		if len(pulls) != 1 || len(pulls[0].Tries) != 1 {
			return false
		}
		try = pulls[0].Tries[0]
		return true
	})
	return try
}

func TestALayerIsWholeHoweverMuchOfItTheKernelMoves(t *testing.T) {
	content := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content) // which never fails
	for _, c := range []struct {
		size int
		// first arrives a while after the headers, and before the rest.
		first int
		// moves is true if the kernel moves the rest. A connection of the mirror then serves no second layer.
		moves bool
	}{{chunk - 1, 0, false}, {chunk, 0, false}, {chunk + 1, 0, false}, {3*chunk + 1, 0, true}, {2*chunk + 1, 1, true}, {len(content), 0, true}} {
		s, mirror, path := streaming(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(c.size))
			if c.first > 0 {
				_ = http.NewResponseController(w).Flush()
				time.Sleep(2 * linger)
				_, _ = w.Write(content[:c.first])
				_ = http.NewResponseController(w).Flush()
				time.Sleep(2 * linger)
			}
			_, _ = w.Write(content[c.first:c.size])
		})
		containerd := loopbacktest.Dial(t, s.Address(), "")
		for i := range 3 { // all over one connection
			if _, err := io.WriteString(containerd, loopbacktest.Get(path)); err != nil {
				t.Fatal(err)
			}
			if got, err := readLayer(containerd); err != nil || !bytes.Equal(got, content[:c.size]) {
				t.Fatalf("%d bytes: request %d got %d, error %v", c.size, i, len(got), err)
			}
		}
		eventually(t, "all is in the access log", func() bool { return outcome(t, s).Bytes == int64(3*c.size) })
		if try := outcome(t, s); try.Outcome != accesslog.Served || try.Requests != 3 {
			t.Errorf("%d bytes: the access log has %+v", c.size, try)
		}
		connections := make(map[string]bool)
		for _, r := range mirror.requests() {
			connections[r.RemoteAddr] = true
		}
		if n := len(connections); n != map[bool]int{false: 1, true: 3}[c.moves] {
			t.Errorf("%d bytes: the requests came over %d connections", c.size, n)
		}
	}
}

func TestAMirrorThatBreaksOffWhileTheKernelMovesIsFoundOut(t *testing.T) {
	const size, sent = 8 << 20, 3 << 20
	s, _, path := streaming(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = w.Write(make([]byte, sent))
		panic(http.ErrAbortHandler)
	})
	got, err := readLayer(loopbacktest.Dial(t, s.Address(), loopbacktest.Get(path)))
	if err == nil || len(got) > sent {
		t.Errorf("got %d bytes, error %v", len(got), err)
	}
	if try := outcome(t, s); try.Outcome != accesslog.Error || !strings.HasPrefix(try.Why, "it broke off: ") || try.Bytes < int64(len(got)) || try.Bytes > sent {
		t.Errorf("the access log has %+v, and %d bytes came", try, len(got))
	}
}

func TestAClientThatLeavesWhileTheKernelMovesIsNoFaultOfTheMirror(t *testing.T) {
	for name, leave := range map[string]func(net.Conn){
		"one that goes":          func(c net.Conn) { _ = c.Close() },
		"one that takes no more": func(net.Conn) {},
	} {
		s, _, path := streaming(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(1<<40))
			for part := make([]byte, 1<<20); ; {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
		})
		s.relay.stalled = 200 * time.Millisecond
		containerd := loopbacktest.Dial(t, s.Address(), loopbacktest.Get(path))
		if _, err := io.ReadFull(containerd, make([]byte, 4*chunk)); err != nil {
			t.Fatal(err)
		}
		leave(containerd)
		if try := outcome(t, s); try.Outcome != accesslog.Sent || try.Why != "containerd did not read the whole answer" || try.Bytes < 3*chunk {
			t.Errorf("%s: the access log has %+v", name, try)
		}
	}
}

// readLayer reads one answer, and no more than that.
func readLayer(c net.Conn) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(time.Minute / 2)); err != nil { // so that a test ends
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return content, err
}
