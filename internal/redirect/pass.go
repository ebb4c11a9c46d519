// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/redirect/splice"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
)

const (
	// chunk is how much is passed on at a time, in bytes, and linger how long that may take to arrive. Each write wakes containerd, which costs more
	// than copying the bytes.
	chunk  = 256 << 10
	linger = 50 * time.Millisecond
)

// passHeaders passes on the headers that containerd reads.
func passHeaders(w http.ResponseWriter, resp *http.Response) {
	for _, header := range []string{"Accept-Ranges", "Content-Length", "Content-Range", "Content-Type", "Docker-Content-Digest"} {
		if values := resp.Header[header]; values != nil {
			w.Header()[header] = values
		}
	}
	w.WriteHeader(resp.StatusCode)
}

// pass passes on a response as it arrives. The caller must make sure, with the verdict, that a broken stream does not look like a complete one.
func (s *relay) pass(w http.ResponseWriter, r *http.Request, resp *http.Response) verdict {
	passHeaders(w, resp)
	p := &passing{
		request: r, from: resp.Body, control: http.NewResponseController(w), stalled: s.stalled,
		verdict: verdict{ok: true, answer: accesslog.Served, answered: time.Now()},
	}
	p.copyTo(w)
	return p.verdict
}

// passing is a body on its way to containerd.
type passing struct {
	request *http.Request
	from    io.Reader
	control *http.ResponseController
	stalled time.Duration
	verdict verdict
}

// copyTo passes on the body through a buffer. It passes on all of it, or only its beginning if the kernel can move the rest.
func (p *passing) copyTo(w io.Writer) {
	buffer := make([]byte, chunk)
	for {
		n, err := fill(buffer, p.from)
		if !p.goesOn(n, err, func() (int, error) { return w.Write(buffer[:n]) }) || p.spliceTo(w) {
			return
		}
	}
}

// goesOn gives containerd the part of the body that was read, and reports if there may be more.
func (p *passing) goesOn(n int, err error, give func() (int, error)) bool {
	if n > 0 {
		_ = p.control.SetWriteDeadline(time.Now().Add(p.stalled)) // if it cannot be set, the server's own is nearer
		written, failed := give()
		p.verdict.bytes += int64(written)
		if failed != nil {
			p.verdict = p.verdict.leftOff()
			return false
		}
	}
	switch {
	case errors.Is(err, io.EOF):
	case p.request.Context().Err() != nil:
		p.verdict = p.verdict.leftOff()
	case err == nil:
		return true
	default:
		p.verdict.answer, p.verdict.why = accesslog.Error, "it broke off: "+err.Error()
	}
	return false
}

// spliceTo lets the kernel move the rest of the body, and reports if it did. It does so only where the kernel can and much is left. The server counts
// the bytes that it sends, and hands over its connection for this.
func (p *passing) spliceTo(w io.Writer) bool {
	server, isServer := w.(io.ReaderFrom)
	stream, isStream := p.from.(*upstream.Stream)
	if !isServer || !isStream || stream.Spliceable() <= chunk || p.control.Flush() != nil {
		return false
	}
	pipe, err := splice.New()
	if err != nil {
		return false
	}
	defer func() { _ = pipe.Close() }()              // nobody takes what is still in it
	_, _ = server.ReadFrom(spliced{stream, p, pipe}) // the verdict says it
	return true
}

// spliced is the rest of a body, which the kernel moves.
type spliced struct {
	*upstream.Stream
	passing *passing
	pipe    *splice.Pipe
}

// WriteTo moves it to a connection.
func (s spliced) WriteTo(w io.Writer) (int64, error) {
	before := s.passing.verdict.bytes
	connection, isConnection := w.(syscall.Conn)
	if !isConnection { // there is something between, which has to see what is written
		s.passing.copyTo(w)
		return s.passing.verdict.bytes - before, nil
	}
	to, err := connection.SyscallConn()
	for goesOn := err == nil; goesOn; {
		n, err := s.Splice(s.pipe)
		goesOn = s.passing.goesOn(n, err, func() (int, error) { return s.pipe.Give(to) })
	}
	return s.passing.verdict.bytes - before, err
}

// fill reads until there is no room for another record, or until the content read so far has lingered.
func fill(buffer []byte, from io.Reader) (n int, err error) {
	began := time.Now()
	for err == nil && (n == 0 || len(buffer)-n >= upstream.Record && time.Since(began) < linger) {
		var more int
		more, err = from.Read(buffer[n:])
		n += more
	}
	return n, err
}
