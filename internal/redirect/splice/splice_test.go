// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (here, there *net.TCPConn) {
	t.Helper()
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	dialled, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	here, _ = dialled.(*net.TCPConn)
	t.Cleanup(func() { _, _ = here.Close(), accepted.Close() })
	return here, accepted
}

func raw(t *testing.T, c *net.TCPConn) syscall.RawConn {
	t.Helper()
	connection, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return connection
}

func newPipe(t *testing.T) *Pipe {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestWhatOneConnectionReceivesIsMovedToTheOther(t *testing.T) {
	sender, from := pair(t)
	to, receiver := pair(t)
	content := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content) // which never fails
	go func() {
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1+len(rest)/3) // large and small
			_, _ = sender.Write(rest[:n])
			rest = rest[n:]
		}
		_ = sender.Close()
	}()
	received := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(receiver)
		received <- all
	}()
	p, most, total := newPipe(t), int64(100_000), 0
	for {
		n, err := p.Take(raw(t, from), most)
		if errors.Is(err, io.EOF) {
			break
		}
		given, failed := p.Give(raw(t, to))
		if err := errors.Join(err, failed); err != nil || n == 0 || int64(n) > most || given != n {
			t.Fatalf("%d bytes were taken, at most %d, and %d given, error %v", n, most, given, err)
		}
		total += n
		most *= 2
	}
	_ = to.Close()
	if all := <-received; total != len(content) || !bytes.Equal(all, content) {
		t.Errorf("%d bytes were moved, and %d received, of %d", total, len(all), len(content))
	}
}

func TestAConnectionIsWaitedForUntilItsDeadline(t *testing.T) {
	sender, from := pair(t)
	to, _ := pair(t) // whose other end reads nothing
	p := newPipe(t)
	soon := time.Now().Add(50 * time.Millisecond)
	if err := errors.Join(from.SetReadDeadline(soon), to.SetWriteDeadline(soon)); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Take(raw(t, from), 1); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes were taken, error %v", n, err)
	}
	if err := from.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(sender, rand.NewChaCha8([32]byte{})) }()
	for { // until the buffers of the sockets are full
		n, err := p.Take(raw(t, from), room)
		if err != nil {
			t.Fatal(err)
		}
		if given, err := p.Give(raw(t, to)); err != nil {
			if given >= n || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d bytes of %d were given, error %v", given, n, err)
			}
			return
		}
	}
}

func TestAConnectionThatIsClosedIsAnError(t *testing.T) {
	sender, from := pair(t)
	to, _ := pair(t)
	p := newPipe(t)
	if _, err := io.WriteString(sender, "x"); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Take(raw(t, from), 10); n != 1 || err != nil {
		t.Errorf("%d bytes were taken, error %v", n, err)
	}
	closed := raw(t, to)
	_ = to.Close()
	if n, err := p.Give(closed); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d bytes were given, error %v", n, err)
	}
	waiting := raw(t, from)
	time.AfterFunc(20*time.Millisecond, func() { _ = from.Close() })
	if n, err := p.Take(waiting, 10); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d bytes were taken, error %v", n, err)
	}
}
