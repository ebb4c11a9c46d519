// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upstream sends registries the requests whose answers the redirector streams. It uses the TLS settings and the login of that registry, and
// never those of another (G4 of docs/reference/semantics.md). It exchanges the login for a token if the registry requires one, keeps connections and
// tokens, and follows redirects without the login.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/route"
)

const (
	// Stalled is how long a stream may stall.
	Stalled = 30 * time.Second
	// Record is the most that a read over TLS returns, in bytes.
	Record = 16 << 10
	// MaxHeader bounds the headers of an answer, in bytes. It is far more than any token, challenge or signed URL.
	MaxHeader = 64 << 10
	// maxStreams bounds the streams that run at the same time.
	maxStreams = 64
)

// ErrSilent is for a registry that does not answer in time.
var ErrSilent = errors.New("it does not answer")

// ErrBusy is for a registry that was not contacted.
var ErrBusy = errors.New("the redirector already runs too many streams")

// Request is a request to a registry.
type Request struct {
	Method string
	Target route.Target
	// Object is the requested content of the repository, as in manifests/latest.
	Object string
	// Header goes to the registry, and to the place that it redirects to.
	Header http.Header
	// TLS also applies to every host that the registry names: its redirects, and its token server.
	TLS *tls.Config
	// Login is the login for the repository. With the zero value, a token is requested anonymously.
	Login grants.Login
	// Patience is how long the registry may take to answer.
	Patience time.Duration
	// Whole requires the content within that time, too.
	Whole bool
}

// Pool keeps connections and tokens for registries.
type Pool struct {
	clients clients
	streams chan struct{} // those that run
}

// NewPool returns a pool that contacts no place that the function refuses, whatever a registry answers.
func NewPool(userAgent string, refuses func(to *url.URL) bool) *Pool {
	return &Pool{
		clients: clients{userAgent: userAgent, refuses: refuses, connecting: Stalled, byPlace: make(map[place]*client)},
		streams: make(chan struct{}, maxStreams),
	}
}

// Keep forgets logins that are no longer granted, with their tokens.
func (p *Pool) Keep(granted grants.Grants) {
	p.clients.keep(granted)
}

// Open requests content over TLS. If that fails for an insecure registry, it uses plain HTTP; the way that worked last is tried first. The body of
// the answer is a [*Stream], which the caller must close. An answer that the login does not suffice is a [*Refused]. No error holds a login, a token
// or the query of a URL.
func (p *Pool) Open(ctx context.Context, r Request) (*http.Response, error) {
	select {
	case p.streams <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	ctx, cancel := context.WithCancelCause(ctx)
	body := &Stream{ctx: ctx, whole: r.Whole, end: sync.OnceFunc(func() { cancel(nil); <-p.streams }), timer: time.AfterFunc(r.Patience, func() { cancel(ErrSilent) })}
	resp, err := p.clients.to(place{r.Target.Host, r.Target.Insecure}, r.TLS).open(ctx, r)
	if err == nil {
		body.are(resp)
		return resp, nil
	}
	_ = body.Close() // it has nothing to close yet
	if errors.Is(err, ErrSilent) || errors.Is(context.Cause(ctx), ErrSilent) {
		err = fmt.Errorf("%w within %s", ErrSilent, r.Patience)
	}
	return nil, err
}

func (c *client) open(ctx context.Context, r Request) (*http.Response, error) {
	schemes := []string{"https"}
	if r.Target.Insecure {
		schemes = append(schemes, "http")
		if c.plain.Load() {
			schemes = []string{"http", "https"}
		}
	}
	var failed []error
	for i, scheme := range schemes {
		resp, err := c.account(r).send(ctx, r, scheme, r.Patience/time.Duration(len(schemes)-i))
		if err == nil && scheme == "http" && resp.StatusCode == http.StatusBadRequest { // so answers a server that wants TLS
			err = errors.Join(errors.New("it answered "+StatusText(resp.StatusCode)+" over plain HTTP"), resp.Body.Close())
		}
		var refused *Refused
		if isRefused := errors.As(err, &refused); err == nil || isRefused {
			c.plain.Store(scheme == "http")
			return resp, err
		}
		failed = append(failed, err)
	}
	return nil, join(failed)
}
