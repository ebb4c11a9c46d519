// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
)

const (
	// maxTokens bounds the kept tokens of one login.
	maxTokens = 1024
	// atLeast is the lifetime of a token if its server does not state it, as the protocol defines it.
	atLeast = 60 * time.Second
	// atMost is how long a token is kept.
	atMost = 24 * time.Hour
	// early is how long before its end a token is no longer sent, because it would expire on its way.
	early = 5 * time.Second
)

// tokens are the tokens for one login, by scope, each until it expires. A password and a registry token are the same for all repositories, so they
// have the scope "".
type tokens struct {
	areOne bool // the login is a registry token

	mu    sync.Mutex
	kept  auth.Cache
	until map[string]time.Time
}

func newTokens(areOne bool) *tokens {
	return &tokens{areOne: areOne, kept: auth.NewCache(), until: make(map[string]time.Time)}
}

// exchange is a request to a token server.
type exchange struct {
	began time.Time
	until time.Time // when the token from it ends
}

type exchangeKey struct{}

// exchangeOf returns nil for a request to the registry itself.
func exchangeOf(ctx context.Context) *exchange {
	e, _ := ctx.Value(exchangeKey{}).(*exchange)
	return e
}

// note reads an answer of a token server. The token's end follows this host's clock, because the server's may be wrong.
func (e *exchange) note(answer []byte) {
	var token struct {
		Seconds int64 `json:"expires_in"`
	}
	good := atLeast
	if json.Unmarshal(answer, &token) == nil && token.Seconds > 0 {
		good = time.Duration(min(token.Seconds, int64(atMost/time.Second))) * time.Second
	}
	e.until = e.began.Add(good - early)
}

// cache returns the kept tokens in the library's form.
func (t *tokens) cache() auth.Cache {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept
}

// GetScheme returns the scheme that the registry requires.
func (t *tokens) GetScheme(ctx context.Context, registry string) (auth.Scheme, error) {
	return t.cache().GetScheme(ctx, registry)
}

// scope returns the requested scope, and not the scope that the registry requires.
func (t *tokens) scope(ctx context.Context, scheme auth.Scheme) string {
	if scheme == auth.SchemeBasic || t.areOne {
		return ""
	}
	return attemptOf(ctx).scope()
}

// GetToken returns a token that is still valid.
func (t *tokens) GetToken(ctx context.Context, registry string, scheme auth.Scheme, _ string) (string, error) {
	scope := t.scope(ctx, scheme)
	t.mu.Lock()
	until, ends := t.until[scope]
	t.mu.Unlock()
	if ends && time.Now().After(until) {
		return "", errdef.ErrNotFound
	}
	return t.cache().GetToken(ctx, registry, scheme, scope)
}

// Set keeps a fetched token.
func (t *tokens) Set(ctx context.Context, registry string, scheme auth.Scheme, _ string, fetch func(context.Context) (string, error)) (string, error) {
	scope := t.scope(ctx, scheme)
	token, err := t.cache().Set(ctx, registry, scheme, scope, func(ctx context.Context) (string, error) {
		e := &exchange{began: time.Now()}
		token, err := fetch(context.WithValue(ctx, exchangeKey{}, e))
		switch {
		case err != nil && ctx.Err() != nil: // the client is gone, and the next request that waits for the token fetches it
			return "", ctx.Err()
		case err == nil && !e.until.IsZero():
			t.keep(scope, e.until)
		}
		return token, err
	})
	attemptOf(ctx).renewed = err == nil
	return token, err
}

// forget makes the next request fetch a new token.
func (t *tokens) forget(scope string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until[scope] = time.Now()
}

func (t *tokens) keep(scope string, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.until) >= maxTokens {
		t.kept = auth.NewCache()
		clear(t.until)
	}
	t.until[scope] = until
}
