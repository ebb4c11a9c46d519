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

// Listening is a redirector that serves containerd.
type Listening struct {
	server *http.Server
	ended  chan error
}

// Service is the server at the port.
type Service struct {
	Handler http.Handler
	// Self is a path that the handler answers with nothing but its name, in the Server header.
	Self, Name string
	// Most bounds the connections, MaxHeader the headers of a request, in bytes, and Writing the time for an answer.
	Most, MaxHeader int
	Writing         time.Duration
}

// Serve makes a service answer on a bound socket, and returns once it has answered a first request.
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
			// The handler answers OPTIONS * like any other request that it does not serve.
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

// test requires an answer from a redirector at the address.
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

// Ended receives the reason why the redirector no longer serves. It receives nothing if the redirector was closed.
func (l *Listening) Ended() <-chan error {
	return l.ended
}

// Close accepts no more requests, and gives those under way a moment.
func (l *Listening) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := l.server.Shutdown(ctx); err != nil {
		return l.server.Close()
	}
	return nil
}
