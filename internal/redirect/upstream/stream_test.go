// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/redirect/splice"
)

// spliceable opens a stream, reads its beginning, and returns it with a pipe.
func spliceable(t *testing.T, host string, size int) (*Stream, *splice.Pipe) {
	t.Helper()
	resp, err := newPool().Open(t.Context(), plain(host, "x"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	s, ok := resp.Body.(*Stream)
	if !ok || s.Spliceable() != 0 {
		t.Fatalf("%T can be spliced before it is read from", resp.Body)
	}
	if n, err := s.Read(make([]byte, 1)); n != 1 || err != nil || s.Spliceable() != 0 {
		t.Fatalf("read %d bytes, error %v, and %d can be spliced, of which the transport may have some", n, err, s.Spliceable())
	}
	n, err := s.Read(make([]byte, Record))
	if err != nil || s.Spliceable() != int64(size-1-n) {
		t.Fatalf("read %d more bytes of %d, error %v, and %d can be spliced", n, size, err, s.Spliceable())
	}
	pipe, err := splice.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pipe.Close() })
	return s, pipe
}

// sends answers with the beginning of a body, and with the rest once the test lets it.
func sends(size, begin int, mayGoOn <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = io.WriteString(w, strings.Repeat("x", begin))
		_ = http.NewResponseController(w).Flush()
		if _, ok := <-mayGoOn; ok {
			_, _ = io.WriteString(w, strings.Repeat("x", size-begin))
		}
	}
}

func TestASplicedStreamThatStandsStillEnds(t *testing.T) {
	const size, begin = 100_000, 1000
	mayGoOn := make(chan struct{}, 1)
	s, pipe := spliceable(t, start(t, sends(size, begin, mayGoOn)), size)
	defer close(mayGoOn)
	s.timer.Stop()
	time.AfterFunc(20*time.Millisecond, func() { s.timer.Reset(0) }) // as if it was late
	if n, err := s.Splice(pipe); n != 0 || !errors.Is(err, ErrSilent) {
		t.Errorf("%d bytes were spliced, error %v", n, err)
	}
}

func TestEachPartThatIsSplicedHasItsTime(t *testing.T) {
	const size, begin = 100_000, 1000
	mayGoOn := make(chan struct{}, 1)
	s, pipe := spliceable(t, start(t, sends(size, begin, mayGoOn)), size)
	mayGoOn <- struct{}{}
	s.timer.Stop()
	if n, err := s.Splice(pipe); n == 0 || err != nil || !s.timer.Stop() {
		t.Errorf("%d bytes were spliced, error %v, and nobody would have ended it if it stood still", n, err)
	}
}

func TestNothingBehindABodyIsSpliced(t *testing.T) {
	const size = 100_000
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() { // a registry that says less than it sends
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			begin := make([]byte, 4096)
			if n, _ := c.Read(begin); n == 0 || begin[0] != 'G' { // it wants no TLS
				_ = c.Close()
				continue
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(size)+"\r\n\r\n"+strings.Repeat("x", 2*size))
			defer func() { _ = c.Close() }()
		}
	}()
	s, pipe := spliceable(t, listener.Addr().String(), size)
	left, total := s.Spliceable(), int64(0)
	sink := drain(t)
	for {
		n, err := s.Splice(pipe)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pipe.Give(sink); err != nil {
			t.Fatal(err)
		}
		total += int64(n)
	}
	if total != left {
		t.Errorf("%d bytes were spliced of a body with %d left", total, left)
	}
}

// drain returns a connection whose other end reads everything.
func drain(t *testing.T) syscall.RawConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if c, err := listener.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	to, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = to.Close(), listener.Close() })
	raw, err := to.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
