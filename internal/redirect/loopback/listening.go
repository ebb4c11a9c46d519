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

// Service is what answers at the port.
type Service struct {
	Handler http.Handler
	// Self is a path at which the handler answers with nothing but its name, as the header Server.
	Self, Name string
	// Most bounds the connections, MaxHeader the headers of a request, in bytes, and Writing the time for an answer.
	Most, MaxHeader int
	Writing         time.Duration
}

// Serve has a service answer by a bound socket, and returns once it has answered a first request.
func Serve(ctx context.Context, socket *os.File, s Service) (*Listening, error) {
	listener, err := Listen(socket, s.Most)
	if err != nil {
		return nil, fmt.Errorf("the redirector cannot listen: %w", err)
	}
	l := &Listening{
		server: &http.Server{
			Handler:           s.Handler,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			WriteTimeout:      s.Writing,
			MaxHeaderBytes:    s.MaxHeader,
			// OPTIONS * is answered as all else that is not served.
			DisableGeneralOptionsHandler: true,
			ConnContext:                  WithConnection,
			ConnState:                    NoteState,
		},
		ended: make(chan error, 1),
	}
	go func() { l.ended <- l.server.Serve(listener) }()
	if err := s.test(ctx, listener.Addr()); err != nil {
		return nil, errors.Join(err, l.server.Close())
	}
	return l, nil
}

// test wants an answer from a redirector at the address.
func (s Service) test(ctx context.Context, address net.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, headerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address.String()+s.Self, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the redirector does not answer its own request: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Server") != s.Name {
		return fmt.Errorf("the program that answers at %s is not the redirector: %s", address, resp.Status)
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
