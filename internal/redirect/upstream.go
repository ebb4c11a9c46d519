// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

// relayClient keeps connections to a registry for as long as the TLS settings stay the same.
type relayClient struct {
	tls    *tls.Config
	client *http.Client
	plain  bool // an insecure registry that answered over plain HTTP last
}

// errSilent is for a registry that does not answer in time.
var errSilent = errors.New("it does not answer")

// open sends the request on, over TLS, and for an insecure registry over plain HTTP where that fails; the way that worked last
// is tried first.
func (s *relay) open(r *http.Request, q question, t route.Target, own *tls.Config, patience time.Duration) (*http.Response, *stream, error) {
	if !s.begin() {
		return nil, nil, errors.New("too many streams run already")
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	body := &stream{end: func() { cancel(nil); s.finish() }, timer: time.AfterFunc(patience, func() { cancel(errSilent) })}
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
		resp, err := s.send(ctx, r, c.client, urlOf(scheme, t, q), patience/time.Duration(len(schemes)-i))
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
		return nil, nil, fmt.Errorf("%w within %s", errSilent, patience)
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

// maxClients bounds the registries that connections are kept to.
const maxClients = 256

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
	if len(s.clients) >= maxClients { // whoever is on the node can name registries on the loopback address
		for _, c := range s.clients {
			c.client.CloseIdleConnections()
		}
		clear(s.clients)
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
