// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorset/mirrorset/internal/route"
)

// relayClient keeps connections to a registry for as long as the TLS settings stay the same.
type relayClient struct {
	tls    *tls.Config
	client *http.Client
	plain  atomic.Bool // an insecure registry that answered over plain HTTP last
}

// errSilent is for a registry that does not answer in time.
var errSilent = errors.New("it does not answer")

// open sends the request on, over TLS, and for an insecure registry over plain HTTP where that fails; the way that worked last
// is tried first.
func (s *relay) open(r *http.Request, q question, t route.Target, own *tls.Config, patience time.Duration) (*http.Response, *stream, error) {
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, nil, errors.New("too many streams run already")
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	body := &stream{end: func() { cancel(nil); <-s.streams }, timer: time.AfterFunc(patience, func() { cancel(errSilent) })}
	c := s.connections.to(t.Host, own)
	schemes := []string{"https"}
	if t.Insecure {
		schemes = append(schemes, "http")
		if c.plain.Load() {
			schemes = []string{"http", "https"}
		}
	}
	var failed []error
	for i, scheme := range schemes {
		resp, err := send(ctx, r, c.client, urlOf(scheme, t, q), patience/time.Duration(len(schemes)-i))
		if err == nil && scheme == "http" && resp.StatusCode == http.StatusBadRequest { // so answers a server that wants TLS
			err = errors.Join(errors.New("it answered "+resp.Status+" over plain HTTP"), resp.Body.Close())
		}
		if err == nil {
			c.plain.Store(scheme == "http")
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
func send(parent context.Context, r *http.Request, client *http.Client, to string, patience time.Duration) (*http.Response, error) {
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

// maxClients bounds the registries that connections are kept to.
const maxClients = 256

// connections are those that are kept to registries.
type connections struct {
	// refuses tells whether a registry must not send on to a place.
	refuses func(to *url.URL) bool

	mu      sync.Mutex
	clients map[string]*relayClient // by registry
}

// to returns the client for a registry, which is a new one if the TLS settings have changed.
func (c *connections) to(host string, own *tls.Config) *relayClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept := c.clients[host]; kept != nil {
		if equal(kept.tls, own) {
			return kept
		}
		kept.client.CloseIdleConnections()
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     own.Clone(),
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     stalled,
		DisableCompression:  true, // what is passed on must be what the digest is of
		ReadBufferSize:      chunk,
	}
	if len(c.clients) >= maxClients { // whoever is on the node can name registries on the loopback address
		for _, kept := range c.clients {
			kept.client.CloseIdleConnections()
		}
		clear(c.clients)
	}
	c.clients[host] = &relayClient{tls: own, client: &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}}
	return c.clients[host]
}

// maxRedirects is how often a registry may send on.
const maxRedirects = 10

func (c *connections) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return fmt.Errorf("it sends on more than %d times", maxRedirects)
	case c.refuses(req.URL):
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
