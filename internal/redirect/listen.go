// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"fmt"

	"github.com/mirrorset/mirrorset/internal/redirect/loopback"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
	"github.com/mirrorset/mirrorset/internal/route"
)

// maxConnections bounds the connections from containerd.
const maxConnections = 1024

// selfPath is where a redirector identifies itself.
const selfPath = route.RedirectorPath + "self"

// Listening is a redirector that serves containerd.
type Listening = loopback.Listening

// Listen makes the redirector serve its port, with the socket that this process was given or with its own. It returns once the redirector has
// answered a first request. Another redirector of the same user may listen there at the same time, such as while one agent replaces another.
func (s *Server) Listen(ctx context.Context) (_ *Listening, err error) {
	socket := s.config.Socket
	if socket == nil {
		if socket, err = loopback.Bind(s.config.Port); err != nil {
			return nil, fmt.Errorf("the redirector cannot listen: %w", err)
		}
		defer func() { _ = socket.Close() }() // the listener has it open as well
	}
	return loopback.Serve(ctx, socket, loopback.Service{
		Handler: s, Self: selfPath, Name: serverName, Most: maxConnections, MaxHeader: upstream.MaxHeader, Writing: deadline + upstream.Stalled,
	})
}

// Address is where containerd finds the redirector.
func (s *Server) Address() string {
	return fmt.Sprintf("127.0.0.1:%d", s.config.Port)
}
