// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loopback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// The bounds of connections from containerd.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 5 * time.Second
	drainTimeout  = 5 * time.Second
)

// Listening is a redirector that is there for containerd.
type Listening struct {
	server *http.Server
	ended  chan error
}

// Self is how a redirector is known: at a path it answers with nothing but its name, as the header Server.
type Self struct{ Path, Name string }

// Serve has a server answer by a bound socket, with so many connections at most, and returns once the redirector has answered a first request. What
// the server says of connections, but for how long a write may take and how large a header may be, is overwritten.
func Serve(ctx context.Context, server *http.Server, socket *os.File, most int, self Self) (*Listening, error) {
	listener, err := Listen(socket, most)
	if err != nil {
		return nil, fmt.Errorf("the redirector cannot listen: %w", err)
	}
	server.ReadHeaderTimeout, server.IdleTimeout = headerTimeout, idleTimeout
	server.DisableGeneralOptionsHandler = true // OPTIONS * is answered as all else that is not served
	server.ConnContext, server.ConnState = WithConnection, NoteState
	l := &Listening{server: server, ended: make(chan error, 1)}
	go func() { l.ended <- server.Serve(listener) }()
	if err := self.test(ctx, listener.Addr()); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return l, nil
}

// test wants an answer from a redirector at the address.
func (s Self) test(ctx context.Context, address net.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, headerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address.String()+s.Path, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the redirector does not answer itself: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Server") != s.Name {
		return fmt.Errorf("what answers at %s is no redirector: %s", address, resp.Status)
	}
	return nil
}

// Ended tells why the redirector no longer serves; it says something only if nobody closed it.
func (l *Listening) Ended() <-chan error {
	return l.ended
}

// Close takes no more requests, and gives those that are under way a moment.
func (l *Listening) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := l.server.Shutdown(ctx); err != nil {
		return l.server.Close()
	}
	return nil
}
