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
	// maxTokens bounds the tokens that are kept for one login.
	maxTokens = 1024
	// atLeast is how long a token is good whose server does not say it, as the protocol has it.
	atLeast = 60 * time.Second
	// atMost is how long a token is kept.
	atMost = 24 * time.Hour
	// early is how long before its end a token is no longer sent, as it would end on its way.
	early = 5 * time.Second
)

// tokens are those for one login, by scope, each until it expires. What is the same for all repositories has the scope "": a password, or a
// registry token.
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
	until time.Time // when the token ends that came of it
}

type exchangeKey struct{}

// exchangeOf returns nil for a request to the registry itself.
func exchangeOf(ctx context.Context) *exchange {
	e, _ := ctx.Value(exchangeKey{}).(*exchange)
	return e
}

// note reads an answer of a token server. The token ends by this host's clock: the server's may go wrong.
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

// cache returns what the library keeps.
func (t *tokens) cache() auth.Cache {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept
}

// GetScheme returns how the registry wants to be asked.
func (t *tokens) GetScheme(ctx context.Context, registry string) (auth.Scheme, error) {
	return t.cache().GetScheme(ctx, registry)
}

// scope is the one that is asked for, and not the one that the registry wants.
func (t *tokens) scope(ctx context.Context, scheme auth.Scheme) string {
	if scheme == auth.SchemeBasic || t.areOne {
		return ""
	}
	return attemptOf(ctx).scope()
}

// GetToken returns a token that is still good.
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

// Set keeps a token that is fetched.
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

// forget has the next request fetch a token anew.
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
