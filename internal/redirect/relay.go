// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

const (
	// stalled is how long either side of a stream may stand still.
	stalled = 30 * time.Second
	// chunk is what is passed on at a time, in bytes.
	chunk = 256 << 10
	// maxStreams bounds the streams that run at once.
	maxStreams = 64
	// lastDeadline is the deadline of the last mirror of a blocked source: a little less than containerd itself waits.
	lastDeadline = 25 * time.Second
	// maxBuffered bounds the manifests that are held in memory at once, to be checked before they are passed on.
	maxBuffered = 8
)

// relay streams what containerd could not fetch by itself: from registries that are insecure, or for which the node has TLS
// settings where CRI-O looks for them. It asks without credentials and passes no challenge on, which containerd would answer
// to this server and so to whoever stands in its place.
type relay struct {
	ownTLS      func(host string) (*tls.Config, error)
	scout       *scout
	connections connections
	streams     chan struct{} // those that run
	buffered    chan struct{} // the manifests that are held in memory
}

func newRelay(ownTLS func(host string) (*tls.Config, error), scout *scout, refuses func(to *url.URL) bool) *relay {
	return &relay{
		ownTLS:      ownTLS,
		scout:       scout,
		connections: connections{refuses: refuses, clients: make(map[string]*relayClient)},
		streams:     make(chan struct{}, maxStreams),
		buffered:    make(chan struct{}, maxBuffered),
	}
}

// tlsFor returns the settings by which a mirror is to be streamed; nil for one that containerd can reach.
func (s *relay) tlsFor(t route.Target) (*tls.Config, error) {
	var own *tls.Config
	if s.ownTLS != nil {
		var err error
		if own, err = s.ownTLS(t.Host); err != nil {
			return nil, err
		}
	}
	if t.Insecure {
		if own == nil {
			own = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		own.InsecureSkipVerify = true
	}
	return own, nil
}

// serveMirror streams from a mirror, which is waited for longer if it is the last one. Where the verdict is not ok, nothing has
// been answered yet. Whether a manifest is the one that a digest names can only be told from its content, so it is asked for whole,
// where containerd wants no more than its headers too.
func (s *relay) serveMirror(w http.ResponseWriter, r *http.Request, q question, mirror route.Target, own *tls.Config, isLast bool) verdict {
	if v, ok := s.scout.memory.distrusts(q, mirror); ok {
		return v
	}
	again := r.Clone(context.WithoutCancel(r.Context()))
	patience := lastDeadline
	if !isLast {
		patience = s.scout.deadline
		if s.scout.silences.isSilent(mirror, func() bool { return s.answers(again, q, mirror, own) }) {
			return verdict{silent: true, why: silentFor(patience)}
		}
	}
	isManifest := q.kind == manifests && q.mode() == mirrors.ByDigest
	if isManifest {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	resp, body, err := s.open(r, q, mirror, own, patience) //nolint:bodyclose // the stream closes it
	if err != nil {
		if errors.Is(err, errSilent) {
			s.scout.silences.noteSilent(mirror)
		}
		return verdict{silent: errors.Is(err, errSilent), why: err.Error()}
	}
	defer body.Close()
	s.scout.silences.note(name(mirror), true)
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return verdict{why: "it answered " + resp.Status + ", and a mirror that is insecure, or has TLS settings of the node's own, is asked without credentials"}
	case resp.StatusCode != http.StatusOK && (q.kind == manifests || resp.StatusCode != http.StatusPartialContent):
		return verdict{why: "it answered " + resp.Status}
	case isManifest:
		return s.passManifest(w, r, q, resp, body)
	}
	pass(w, resp, body)
	return verdict{ok: true}
}

// passManifest checks a manifest before it passes it on.
func (s *relay) passManifest(w http.ResponseWriter, r *http.Request, q question, resp *http.Response, body *stream) verdict {
	select {
	case s.buffered <- struct{}{}:
		defer func() { <-s.buffered }()
	case <-r.Context().Done():
		return verdict{why: "who asked is gone"}
	}
	content, err := io.ReadAll(io.LimitReader(body.from, maxManifest+1)) // within the deadline of the answer
	if err != nil {
		return verdict{why: err.Error()}
	}
	got := q.digest().Algorithm().Hash()
	_, _ = got.Write(content) // a hash takes everything
	if err := check(int64(len(content)), got, q.digest()); err != nil {
		return verdict{wrong: true, why: err.Error()}
	}
	resp.Header.Set("Content-Length", strconv.Itoa(len(content))) // the mirror need not have said it
	passHeaders(w, resp)
	_, _ = w.Write(content) // who asked may have gone, or wanted the headers
	return verdict{ok: true}
}

// answers tells whether a mirror that did not answer does so now.
func (s *relay) answers(r *http.Request, q question, mirror route.Target, own *tls.Config) bool {
	r.Method = http.MethodHead
	_, body, err := s.open(r, q, mirror, own, s.scout.deadline) //nolint:bodyclose // the stream closes it
	if err == nil {
		body.Close()
	}
	return !errors.Is(err, errSilent)
}

// serveSource streams from an insecure source, for images by tag too.
func (s *relay) serveSource(w http.ResponseWriter, r *http.Request, q question, source route.Target) Result {
	own, err := s.tlsFor(source)
	if err != nil {
		fail(w, http.StatusBadGateway, "UNKNOWN", fmt.Sprintf("the node's TLS settings for %s cannot be used: %v", source.Host, err))
		return Failed
	}
	resp, body, err := s.open(r, q, source, own, s.scout.deadline) //nolint:bodyclose // the stream closes it
	if err != nil {
		fail(w, http.StatusBadGateway, "UNKNOWN", fmt.Sprintf("source %s: %v", name(source), err))
		return Failed
	}
	defer body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		fail(w, http.StatusForbidden, "DENIED", fmt.Sprintf("source %s wants credentials, which are not passed on to an insecure registry where a part of it is blocked", name(source)))
	case resp.StatusCode >= 300:
		fail(w, resp.StatusCode, "UNKNOWN", fmt.Sprintf("source %s answered %s", name(source), resp.Status))
	default:
		pass(w, resp, body)
		return Streamed
	}
	return Failed
}

// stream is the body of a response that ends if it stands still.
type stream struct {
	from  io.ReadCloser
	timer *time.Timer
	end   func()
}

func (s *stream) Read(p []byte) (int, error) {
	s.timer.Reset(stalled)
	return s.from.Read(p)
}

// Close ends the request as well.
func (s *stream) Close() {
	s.timer.Stop()
	if s.from != nil {
		_ = s.from.Close() // it was only read from
	}
	s.end()
}

// passHeaders passes on what containerd looks at.
func passHeaders(w http.ResponseWriter, resp *http.Response) {
	for _, header := range []string{"Accept-Ranges", "Content-Length", "Content-Range", "Content-Type", "Docker-Content-Digest"} {
		if values := resp.Header[header]; values != nil {
			w.Header()[header] = values
		}
	}
	w.WriteHeader(resp.StatusCode)
}

// pass passes a response on as it comes. One that breaks off must not look like a whole one.
func pass(w http.ResponseWriter, resp *http.Response, body io.Reader) {
	passHeaders(w, resp)
	control := http.NewResponseController(w)
	buffer := make([]byte, chunk)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			_ = control.SetWriteDeadline(time.Now().Add(stalled)) // if it cannot be set, the server's own is nearer
			if _, err := w.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}
