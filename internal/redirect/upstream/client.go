// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorset/mirrorset/internal/grants"
)

const (
	// maxClients bounds the registries with kept connections.
	maxClients = 256
	// maxAccounts bounds the kept logins of one registry.
	maxAccounts = 512
	// maxRedirects is how often a registry may redirect.
	maxRedirects = 10
)

// client keeps connections to a registry for as long as the TLS settings stay the same.
type client struct {
	pool      *clients
	tls       *tls.Config
	transport *http.Transport
	plain     atomic.Bool // an insecure registry that answered over plain HTTP last
	reach     *reach

	mu       sync.Mutex
	accounts map[grants.Login]*account
}

// place is a registry as one source uses it: another source may use the same registry as insecure.
type place struct {
	host     string
	insecure bool
}

// clients are the clients of the registries with kept connections.
type clients struct {
	userAgent string
	// refuses reports if a registry must not redirect to a place.
	refuses func(to *url.URL) bool
	// connecting bounds each of the two steps of a connection, TCP and TLS. Both continue after the request that began them is over.
	connecting time.Duration

	mu      sync.Mutex
	byPlace map[place]*client
}

// to returns the client for a registry. It is a new client if the TLS settings have changed.
func (c *clients) to(at place, settings *tls.Config) *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept := c.byPlace[at]; kept != nil {
		if equal(kept.tls, settings) {
			return kept
		}
		kept.transport.CloseIdleConnections()
	}
	if len(c.byPlace) >= maxClients { // any process on the node can name registries on the loopback address
		for _, kept := range c.byPlace {
			kept.transport.CloseIdleConnections()
		}
		clear(c.byPlace)
	}
	reach := &reach{host: withoutPort(at.host), Dialer: net.Dialer{Timeout: c.connecting}}
	c.byPlace[at] = &client{pool: c, tls: settings, reach: reach, accounts: make(map[grants.Login]*account), transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            reach.dial,
		TLSHandshakeTimeout:    c.connecting,
		TLSClientConfig:        settings.Clone(),
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        Stalled,
		MaxResponseHeaderBytes: MaxHeader,
		DisableCompression:     true,   // what is passed on must be what the digest is of
		ReadBufferSize:         Record, // so that content goes past that buffer, and straight into one with room for a record
	}}
	return c.byPlace[at]
}

// keep forgets the accounts whose login is no longer granted.
func (c *clients) keep(granted grants.Grants) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kept := range c.byPlace {
		kept.mu.Lock()
		for login, a := range kept.accounts {
			if now, _ := granted.Login(a.of); now != login {
				delete(kept.accounts, login)
			}
		}
		kept.mu.Unlock()
	}
}

// account returns the account of the login for a repository.
func (c *client) account(r Request) *account {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.accounts[r.Login] == nil {
		if len(c.accounts) >= maxAccounts {
			for login := range c.accounts { // any of them
				delete(c.accounts, login)
				break
			}
		}
		c.accounts[r.Login] = newAccount(c, r)
	}
	return c.accounts[r.Login]
}

func (c *clients) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	case c.refuses(req.URL):
		return fmt.Errorf("it redirects to %s, %w", req.URL.Host, ErrAstray)
	}
	return nil
}

// equal reports if two of our settings have the same authorities and the same client certificates.
func equal(a, b *tls.Config) bool {
	if a == b {
		return true
	}
	sameRoots := a.RootCAs == nil && b.RootCAs == nil || a.RootCAs != nil && b.RootCAs != nil && a.RootCAs.Equal(b.RootCAs)
	return sameRoots && a.InsecureSkipVerify == b.InsecureSkipVerify &&
		slices.EqualFunc(a.Certificates, b.Certificates, func(x, y tls.Certificate) bool {
			return slices.EqualFunc(x.Certificate, y.Certificate, slices.Equal)
		})
}
