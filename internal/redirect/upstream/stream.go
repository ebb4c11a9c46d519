// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/mirrorset/mirrorset/internal/redirect/splice"
)

// Stream is the body of an answer. It ends with an error if it stalls.
type Stream struct {
	ctx   context.Context // of the request
	from  io.ReadCloser
	whole bool
	timer *time.Timer
	end   func()

	// bare is the connection that carries the content unchanged; nil if none does, as with TLS. left is how much content has not been read yet.
	bare syscall.RawConn
	left int64
	// isAhead is true if the transport may have read more from the connection than was read here.
	isAhead bool
}

// are makes the stream read an answer.
func (s *Stream) are(resp *http.Response) {
	s.from, resp.Body, s.isAhead = resp.Body, s, true
	if tcp, ok := attemptOf(resp.Request.Context()).conn.(*net.TCPConn); ok && resp.Request.Method == http.MethodGet && resp.ContentLength > 0 {
		s.left = resp.ContentLength
		s.bare, _ = tcp.SyscallConn() // nil where it fails
	}
}

// Read implements [io.Reader].
func (s *Stream) Read(p []byte) (int, error) {
	s.awaits()
	n, err := s.from.Read(p)
	s.left -= int64(n)
	s.isAhead = len(p) < Record // a read with room for the transport's whole buffer empties it
	return n, err
}

func (s *Stream) awaits() {
	if !s.whole {
		s.timer.Reset(Stalled)
	}
}

// Spliceable returns how much content is left that [Stream.Splice] can move.
func (s *Stream) Spliceable() int64 {
	if s.bare == nil || s.isAhead {
		return 0
	}
	return s.left
}

// Splice moves the next content into a pipe, and ends with [io.EOF]. It bypasses the transport, which then uses the connection for no other request.
// So after the first call of Splice, callers must not call Read any more.
func (s *Stream) Splice(into *splice.Pipe) (n int, err error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.awaits()
	n, err = into.Take(s.bare, s.left)
	s.left -= int64(n)
	switch cause := context.Cause(s.ctx); {
	case err != nil && cause != nil: // for which the transport has closed the connection
		err = cause
	case err == io.EOF: //nolint:errorlint // as it is
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close also ends the request.
func (s *Stream) Close() error {
	s.timer.Stop()
	defer s.end()
	if s.from != nil {
		return s.from.Close()
	}
	return nil
}
