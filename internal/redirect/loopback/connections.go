// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	"golang.org/x/sys/unix"
)

// standing is the state of a connection.
type standing int

const (
	// stranger has not sent a request with a path of a hosts.toml yet (N10), and perhaps never will.
	stranger standing = iota
	// resting has sent such a request, and waits for its next one.
	resting
	// answering has sent such a request, and the server is answering.
	answering
)

// connections is a listener that accepts each connection immediately. If it is full, a new connection replaces another. If at least half are
// strangers, that is the oldest stranger. Otherwise it is the connection that has rested longest. A client repeats a request if its kept connection
// was closed, but not if a new connection was closed. So connections without requests never keep out those with requests. If all connections are
// being answered, the new connection waits until one of them is done.
type connections struct {
	*net.TCPListener
	most int

	mu     sync.Mutex
	change sync.Cond // of whatever a new connection waits for
	closed bool
	by     [answering + 1]list.List // of *connection, by standing; the first has been there longest
}

// connection is a connection of such a listener.
type connection struct {
	*net.TCPConn // with all that the server can make use of
	of           *connections
	standing     standing
	at           *list.Element // nil once it is closed
}

// hold returns a listener that holds at most this many connections.
func hold(listener *net.TCPListener, most int) *connections {
	l := &connections{TCPListener: listener, most: most}
	l.change.L = &l.mu
	return l
}

// Accept returns the next connection. It fails with [net.ErrClosed] once the listener is closed.
func (l *connections) Accept() (net.Conn, error) {
	tcp, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && l.by[stranger].Len()+l.by[resting].Len()+l.by[answering].Len() >= l.most {
		if !l.dismiss() {
			l.change.Wait()
		}
	}
	if l.closed {
		_ = tcp.Close() // nothing was read from it
		return nil, net.ErrClosed
	}
	c := &connection{TCPConn: tcp, of: l}
	c.at = l.by[stranger].PushBack(c)
	return c, nil
}

// dismiss closes the connection that is needed least, if one is not needed.
func (l *connections) dismiss() bool {
	from := &l.by[stranger]
	if rest := &l.by[resting]; rest.Len() > 0 && from.Len() < l.most/2 {
		from = rest
	}
	first := from.Front()
	if first == nil {
		return false
	}
	c, _ := from.Remove(first).(*connection) // there is nothing else
	c.at = nil
	_ = c.TCPConn.Close() // the server reads from it, and learns so
	return true
}

// Close also ends a waiting Accept. The socket accepts no more connections, even if another process has it open.
func (l *connections) Close() error {
	l.mu.Lock()
	l.closed = true
	l.change.Signal()
	l.mu.Unlock()
	var shut error
	raw, err := l.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { shut = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
	return errors.Join(err, shut, l.TCPListener.Close())
}

// letIn notes that a request used a path of a hosts.toml.
func (c *connection) letIn() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.at != nil {
		c.moves(answering)
	}
}

// rests notes that the answer to a request was sent. A stranger remains a stranger.
func (c *connection) rests() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.at != nil && c.standing == answering {
		c.moves(resting)
		c.of.change.Signal()
	}
}

func (c *connection) moves(to standing) {
	c.of.by[c.standing].Remove(c.at)
	c.standing, c.at = to, c.of.by[to].PushBack(c)
}

// Close makes room for another connection.
func (c *connection) Close() error {
	c.of.mu.Lock()
	if c.at != nil {
		c.of.by[c.standing].Remove(c.at)
		c.at = nil
		c.of.change.Signal()
	}
	c.of.mu.Unlock()
	return c.TCPConn.Close()
}

// connectionKey is the key of the connection in the context of a request.
type connectionKey struct{}

// WithConnection is the ConnContext of a server that listens by [Listen].
func WithConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// NoteLetIn notes that a request used a path of a hosts.toml, so that its connection is no stranger any more.
func NoteLetIn(r *http.Request) {
	if c, ok := r.Context().Value(connectionKey{}).(*connection); ok {
		c.letIn()
	}
}

// NoteState is the ConnState of a server that listens by [Listen].
func NoteState(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*connection); ok && state == http.StateIdle {
		c.rests()
	}
}
