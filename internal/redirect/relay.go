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
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/containerd"
)

const (
	// stalled is how long either side of a stream may stand still.
	stalled = 30 * time.Second
	// chunk is what is passed on at a time, in bytes.
	chunk = 256 << 10
	// maxStreams bounds the streams that run at once.
	maxStreams = 64
	// maxBuffered bounds the manifests that are held in memory at once, to be checked before they are passed on.
	maxBuffered = 8
)

// relay streams what containerd could not fetch by itself: from registries that are insecure, or for which the node has TLS
// settings where CRI-O looks for them. It asks without credentials and passes no challenge on, which containerd would answer
// to this server and so to whoever stands in its place.
type relay struct {
	ownTLS   func(host string) (*tls.Config, error)
	scout    *scout
	refuses  func(to *url.URL) bool
	buffered chan struct{}

	mu      sync.Mutex
	clients map[string]*relayClient // by registry
	streams int
}

// relayClient keeps connections to a registry for as long as the TLS settings stay the same.
type relayClient struct {
	tls    *tls.Config
	client *http.Client
	plain  bool // an insecure registry that answered over plain HTTP last
}

func newRelay(ownTLS func(host string) (*tls.Config, error), scout *scout, refuses func(to *url.URL) bool) *relay {
	return &relay{ownTLS: ownTLS, scout: scout, refuses: refuses, buffered: make(chan struct{}, maxBuffered), clients: make(map[string]*relayClient)}
}

// tlsFor returns the settings by which a mirror is to be streamed; nil for one that containerd can reach.
func (s *relay) tlsFor(t containerd.Target) (*tls.Config, error) {
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

// serveMirror streams from a mirror. Where the verdict is not ok, nothing has been answered yet.
func (s *relay) serveMirror(w http.ResponseWriter, r *http.Request, q question, mirror containerd.Target, own *tls.Config) verdict {
	again := r.Clone(context.WithoutCancel(r.Context()))
	if s.scout.isSilent(mirror, func() bool { return s.answers(again, q, mirror, own) }) {
		return verdict{silent: true, why: s.scout.silentFor()}
	}
	resp, body, err := s.open(r, q, mirror, own) //nolint:bodyclose // the stream closes it
	if err != nil {
		if errors.Is(err, errSilent) {
			s.scout.noteSilent(mirror)
		}
		return verdict{silent: errors.Is(err, errSilent), why: err.Error()}
	}
	defer body.Close()
	s.scout.note(name(mirror), true)
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return verdict{why: "it answered " + resp.Status + ", and a mirror that is insecure, or has TLS settings of the node's own, is asked without credentials"}
	case resp.StatusCode >= 300:
		return verdict{why: "it answered " + resp.Status}
	case q.kind == manifests && r.Method == http.MethodGet && resp.StatusCode == http.StatusOK:
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
	if err == nil {
		got := q.digest().Algorithm().Hash()
		_, _ = got.Write(content) // a hash takes everything
		err = check(int64(len(content)), got, q.digest())
	}
	if err != nil {
		return verdict{why: err.Error()}
	}
	passHeaders(w, resp)
	_, _ = w.Write(content) // who asked may have gone
	return verdict{ok: true}
}

// answers tells whether a mirror that did not answer does so now.
func (s *relay) answers(r *http.Request, q question, mirror containerd.Target, own *tls.Config) bool {
	r.Method = http.MethodHead
	_, body, err := s.open(r, q, mirror, own) //nolint:bodyclose // the stream closes it
	if err == nil {
		body.Close()
	}
	return !errors.Is(err, errSilent)
}

// serveSource streams from an insecure source, for images by tag too.
func (s *relay) serveSource(w http.ResponseWriter, r *http.Request, q question, source containerd.Target) Result {
	own, err := s.tlsFor(source)
	if err != nil {
		fail(w, http.StatusBadGateway, "UNKNOWN", fmt.Sprintf("the node's TLS settings for %s cannot be used: %v", source.Host, err))
		return Failed
	}
	resp, body, err := s.open(r, q, source, own) //nolint:bodyclose // the stream closes it
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

// errSilent is for a registry that does not answer in time.
var errSilent = errors.New("it does not answer within " + deadline.String())

// open sends the request on, over TLS, and for an insecure registry over plain HTTP where that fails; the way that worked last
// is tried first.
func (s *relay) open(r *http.Request, q question, t containerd.Target, own *tls.Config) (*http.Response, *stream, error) {
	if !s.begin() {
		return nil, nil, errors.New("too many streams run already")
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	body := &stream{end: func() { cancel(nil); s.finish() }, timer: time.AfterFunc(s.scout.deadline, func() { cancel(errSilent) })}
	c := s.client(t.Host, own)
	schemes := []string{"https"}
	if t.Insecure {
		schemes = append(schemes, "http")
		if s.isPlain(c) {
			schemes = []string{"http", "https"}
		}
	}
	var failed []error
	for i, scheme := range schemes {
		resp, err := s.send(ctx, r, c.client, urlOf(scheme, t, q), s.scout.deadline/time.Duration(len(schemes)-i))
		if err == nil && scheme == "http" && resp.StatusCode == http.StatusBadRequest { // so answers a server that wants TLS
			err = errors.Join(errors.New("it answered "+resp.Status+" over plain HTTP"), resp.Body.Close())
		}
		if err == nil {
			s.setPlain(c, scheme == "http")
			body.from = resp.Body
			return resp, body, nil
		}
		failed = append(failed, err)
	}
	body.Close()
	err := errors.Join(failed...)
	if errors.Is(err, errSilent) || errors.Is(context.Cause(ctx), errSilent) {
		return nil, nil, errSilent
	}
	return nil, nil, errors.New(strings.ReplaceAll(err.Error(), "\n", ", and "))
}

// send gives up if the headers of an answer take longer than so long.
func (s *relay) send(parent context.Context, r *http.Request, client *http.Client, to string, patience time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(parent)
	timer := time.AfterFunc(patience, func() { cancel(errSilent) })
	req, err := http.NewRequestWithContext(ctx, r.Method, to, nil)
	if err != nil {
		return nil, err
	}
	for _, header := range []string{"Accept", "Range"} {
		req.Header[header] = r.Header[header]
	}
	req.Header.Set("User-Agent", serverName)
	resp, err := client.Do(req) //nolint:gosec // the registry is one that a set names
	if err == nil && !timer.Stop() {
		_ = resp.Body.Close() // it comes too late
		err = errSilent
	}
	if err != nil {
		if errors.Is(context.Cause(ctx), errSilent) {
			err = errSilent
		}
		cancel(err)
		return nil, err
	}
	context.AfterFunc(parent, func() { cancel(nil) })
	return resp, nil
}

func (s *relay) isPlain(c *relayClient) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.plain
}

func (s *relay) setPlain(c *relayClient, plain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.plain = plain
}

// client returns the one of a registry, which is a new one if the TLS settings have changed.
func (s *relay) client(host string, own *tls.Config) *relayClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[host]; c != nil {
		if equal(c.tls, own) {
			return c
		}
		c.client.CloseIdleConnections()
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     own.Clone(),
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     stalled,
		DisableCompression:  true, // what is passed on must be what the digest is of
		ReadBufferSize:      chunk,
	}
	s.clients[host] = &relayClient{tls: own, client: &http.Client{Transport: transport, CheckRedirect: s.checkRedirect}}
	return s.clients[host]
}

// maxRedirects is how often a registry may send on.
const maxRedirects = 10

func (s *relay) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return fmt.Errorf("it sends on more than %d times", maxRedirects)
	case s.refuses(req.URL):
		return fmt.Errorf("it sends on to %s, which must not be contacted", req.URL.Host)
	}
	return nil
}

// equal tells whether two settings of ours have the same authorities and the same client certificates.
func equal(a, b *tls.Config) bool {
	sameRoots := a.RootCAs == nil && b.RootCAs == nil || a.RootCAs != nil && b.RootCAs != nil && a.RootCAs.Equal(b.RootCAs)
	return sameRoots && a.InsecureSkipVerify == b.InsecureSkipVerify &&
		slices.EqualFunc(a.Certificates, b.Certificates, func(x, y tls.Certificate) bool {
			return slices.EqualFunc(x.Certificate, y.Certificate, slices.Equal)
		})
}

func (s *relay) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams >= maxStreams {
		return false
	}
	s.streams++
	return true
}

func (s *relay) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams--
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
