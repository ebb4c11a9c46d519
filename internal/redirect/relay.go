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
	"slices"
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
)

// relay streams what containerd could not fetch by itself: from registries that are insecure, or for which the node has TLS
// settings where CRI-O looks for them. It asks without credentials and passes no challenge on, which containerd would answer
// to this server and so to whoever stands in its place.
type relay struct {
	ownTLS func(host string) (*tls.Config, error)

	mu      sync.Mutex
	clients map[string]*relayClient // by registry
	streams int
}

// relayClient keeps connections to a registry for as long as the TLS settings stay the same.
type relayClient struct {
	tls    *tls.Config
	client *http.Client
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
	resp, body, err := s.open(r, q, mirror, own) //nolint:bodyclose // the stream closes it
	if err != nil {
		return verdict{why: err.Error()}
	}
	defer body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return verdict{why: "it answered " + resp.Status + ", and a mirror that is insecure, or has TLS settings of the node's own, is asked without credentials"}
	case resp.StatusCode >= 300:
		return verdict{why: "it answered " + resp.Status}
	}
	if q.kind == manifests && r.Method == http.MethodGet && resp.StatusCode == http.StatusOK {
		content, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
		if err == nil {
			err = check(content, q.digest())
		}
		if err != nil {
			return verdict{why: err.Error()}
		}
		passHeaders(w, resp)
		_, _ = w.Write(content) // who asked may have gone
		return verdict{ok: true}
	}
	pass(w, resp, body)
	return verdict{ok: true}
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

// open sends the request on, over TLS, and for an insecure registry over plain HTTP where that fails.
func (s *relay) open(r *http.Request, q question, t containerd.Target, own *tls.Config) (*http.Response, *stream, error) {
	if !s.begin() {
		return nil, nil, errors.New("too many streams run already")
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	body := &stream{end: func() { cancel(nil); s.finish() }, timer: time.AfterFunc(deadline, func() {
		cancel(fmt.Errorf("it did not answer within %s", deadline))
	})}
	resp, err := s.send(ctx, r, urlOf("https", t, q), t.Host, own)
	if err != nil && t.Insecure && ctx.Err() == nil {
		overTLS := err
		if resp, err = s.send(ctx, r, urlOf("http", t, q), t.Host, own); err != nil {
			err = fmt.Errorf("%w, and over plain HTTP: %w", overTLS, err)
		}
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		body.Close()
		return nil, nil, err
	}
	body.from = resp.Body
	return resp, body, nil
}

func (s *relay) send(ctx context.Context, r *http.Request, to, host string, own *tls.Config) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, to, nil)
	if err != nil {
		return nil, err
	}
	for _, header := range []string{"Accept", "Range"} {
		req.Header[header] = r.Header[header]
	}
	req.Header.Set("User-Agent", serverName)
	return s.client(host, own).Do(req) //nolint:gosec // the registry is one that a set names
}

// client returns the one of a registry, which is a new one if the TLS settings have changed.
func (s *relay) client(host string, own *tls.Config) *http.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[host]; c != nil {
		if equal(c.tls, own) {
			return c.client
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
	if s.clients == nil {
		s.clients = make(map[string]*relayClient)
	}
	s.clients[host] = &relayClient{tls: own, client: &http.Client{Transport: transport}}
	return s.clients[host].client
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
