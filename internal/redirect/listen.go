// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/mirrorset/mirrorset/internal/redirect/loopback"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
)

// The bounds of connections from containerd.
const (
	maxConnections = 1024
	headerTimeout  = 5 * time.Second
	idleTimeout    = 5 * time.Second
	drainTimeout   = 5 * time.Second
)

// Listening is a redirector that is there for containerd.
type Listening struct {
	server *http.Server
	ended  chan error
}

// Listen has the redirector serve its port, and returns once it has answered a first request. Another redirector of the
// same user may listen there at the same time, as while one agent is replaced by the next.
func (s *Server) Listen(ctx context.Context) (*Listening, error) {
	listener, err := s.listen()
	if err != nil {
		return nil, fmt.Errorf("the redirector cannot listen: %w", err)
	}
	l := &Listening{
		server: &http.Server{
			Handler:           s,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			WriteTimeout:      deadline + upstream.Stalled,
			MaxHeaderBytes:    upstream.MaxHeader,
			// OPTIONS * is answered as all else that is not served.
			DisableGeneralOptionsHandler: true,
			ConnContext:                  loopback.WithConnection,
			ConnState:                    loopback.NoteState,
		},
		ended: make(chan error, 1),
	}
	go func() { l.ended <- l.server.Serve(listener) }()
	if err := test(ctx, s.Address()); err != nil {
		return nil, errors.Join(err, l.server.Close())
	}
	return l, nil
}

// listen listens by the socket that this process was given, or by one of its own.
func (s *Server) listen() (_ net.Listener, err error) {
	socket := s.config.Socket
	if socket == nil {
		if socket, err = loopback.Bind(s.config.Port); err != nil {
			return nil, err
		}
		defer func() { _ = socket.Close() }() // the listener has it open as well
	}
	return loopback.Listen(socket, maxConnections)
}

// Address is where containerd finds the redirector.
func (s *Server) Address() string {
	return fmt.Sprintf("127.0.0.1:%d", s.config.Port)
}

// test wants an answer from a redirector at the address.
func test(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, headerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+selfPath, nil)
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
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Server") != serverName {
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
