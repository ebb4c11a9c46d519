// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// barred is how long a refused login is not sent again. Some servers lock out a client that sends a wrong password too often.
const barred = 15 * time.Second

const (
	// paused is how long a failing token server is not contacted again.
	paused = 2 * time.Second
	// unprovenWait is how long a request waits for the outcome of another request with the same login, if no registry has accepted that login yet.
	// Then the request is still sent, because the other one may take the registry long.
	unprovenWait = time.Second
)

// maxBarred bounds the repositories that a login is barred from.
const maxBarred = 1024

// account is a login at a registry, with its tokens.
type account struct {
	client *client
	login  grants.Login
	of     mirrors.Scope // a repository that the login is for
	asking auth.Client
	tokens *tokens
	// unproven lets one request at a time send a login that no registry has accepted yet, so that a wrong login is sent once.
	unproven chan struct{}

	mu     sync.Mutex
	proven bool               // the login was accepted once
	bars   map[string]refusal // by repository; "" for all
}

type refusal struct {
	error // a [*Refused], or how a token server fails
	until time.Time
}

func newAccount(c *client, r Request) *account {
	a := &account{
		client: c, login: r.Login, of: mirrors.Scope(r.Target.Host + "/" + r.Target.Repository),
		tokens: newTokens(r.Login.RegistryToken != ""), unproven: make(chan struct{}, 1), bars: make(map[string]refusal),
	}
	a.asking = auth.Client{
		Client:   &http.Client{Transport: gate{a}, CheckRedirect: c.pool.checkRedirect},
		Header:   http.Header{"User-Agent": {c.pool.userAgent}},
		ClientID: c.pool.userAgent,
		// A registry on this machine may have its token server here, under another name.
		BlockedRealmPrefixes: slices.DeleteFunc(auth.DefaultBlockedRealmPrefixes(), func(p netip.Prefix) bool { return p.Addr().IsLoopback() }),
		Cache:                a.tokens,
		Credential: func(context.Context, string) (auth.Credential, error) {
			return auth.Credential{Username: r.Login.Username, Password: r.Login.Password, RefreshToken: r.Login.IdentityToken, AccessToken: r.Login.RegistryToken}, nil
		},
	}
	return a
}

// attempt is one request on its way through the library, which calls back with its context.
type attempt struct {
	registry, repository string
	// at is the address of the registry that answered last. It is the zero value before that, and for a connection to a proxy.
	at netip.Addr
	// conn is the connection of the last request; nil where a proxy carried it.
	conn net.Conn
	// renewed is true if the token is a new one, so that another token would not help.
	renewed bool
	// sent is true if the registry was sent the login, or a token. wantsPassword is true if it last required Basic.
	sent, wantsPassword bool
	// refused describes the refusal of the login; nil if it was not refused.
	refused *Refused
}

func (a *attempt) scope() string {
	return auth.ScopeRepository(a.repository, auth.ActionPull)
}

func (a *account) hasLogin() bool {
	return a.login != (grants.Login{})
}

type attemptKey struct{}

// attemptOf returns the attempt of a context.
func attemptOf(ctx context.Context) *attempt {
	return ctx.Value(attemptKey{}).(*attempt)
}

// send gives up if the headers of an answer take longer than patience. The request that it began ends with the parent context.
func (a *account) send(parent context.Context, r Request, scheme string, patience time.Duration) (*http.Response, error) {
	try := &attempt{registry: scheme + "://" + r.Target.Host, repository: r.Target.Repository}
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, attemptKey{}, try))
	timer := time.AfterFunc(patience, func() { cancel(ErrSilent) })
	ctx = auth.WithScopesForHost(ctx, r.Target.Host, try.scope())
	resp, err := a.ask(ctx, r, try)
	if !timer.Stop() {
		if err == nil {
			_ = resp.Body.Close() // it comes too late
		}
		err = ErrSilent
	}
	if err == nil && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden) {
		_ = resp.Body.Close() // it is not passed on
		err = a.refused(try, resp)
	}
	if err != nil {
		cancel(err)
		return nil, a.why(try, err)
	}
	return resp, nil
}

func (a *account) ask(ctx context.Context, r Request, try *attempt) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, try.registry+"/v2/"+r.Target.Repository+"/"+r.Object, nil)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, r.Header)
	return a.asking.Do(req)
}

// refused returns the meaning of an answer of 401 or 403.
func (a *account) refused(try *attempt, resp *http.Response) error {
	if at := resp.Request.URL; at.Scheme+"://"+at.Host != try.registry {
		return errors.New(at.Host + ", to which it redirects, answered " + StatusText(resp.StatusCode))
	}
	if try.refused != nil {
		return try.refused
	}
	refused := &Refused{Status: StatusText(resp.StatusCode), By: resp.Request.URL.Host, HadLogin: a.hasLogin()}
	if refused.HadLogin && !try.sent {
		refused.Unsent = NotAsked
	}
	return refused
}

// why returns an error of the library in a form that may be shown.
func (a *account) why(try *attempt, err error) error {
	var refused *Refused
	var answered *errcode.ErrorResponse
	switch {
	case try.refused != nil:
		return try.refused
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, ErrSilent):
		return ErrSilent
	case try.wantsPassword && a.login.Password == "": // so the library has nothing to send
		refused := &Refused{Status: StatusText(http.StatusUnauthorized), By: a.of.Host(), HadLogin: a.hasLogin()}
		if refused.HadLogin {
			refused.Unsent = NoPassword
		}
		return refused
	case errors.As(err, &answered) && answered.URL != nil:
		status := StatusText(answered.StatusCode)
		if isRefusal(answered.StatusCode, true) {
			if sent := a.barrier(try.repository, false); sent != nil { // by another attempt, which this one waited for
				return sent
			}
			return &Refused{Status: status, By: answered.URL.Host, HadLogin: a.hasLogin()}
		}
		return tokenServerFailed(answered.URL.Host, answered.StatusCode)
	}
	return shown(err)
}

// bar keeps the login from being sent again for a while. A 401 shows that the login is wrong, unless it was right a moment ago. Any other answer
// shows that it does not suffice for the repository.
func (a *account) bar(try *attempt, resp *http.Response, isToken bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	barredFrom := try.repository
	if resp.StatusCode == http.StatusUnauthorized && !isToken && !a.proven {
		barredFrom = ""
	}
	try.refused = &Refused{Status: StatusText(resp.StatusCode), By: resp.Request.URL.Host, HadLogin: true, Everywhere: barredFrom == ""}
	a.barFrom(barredFrom, try.refused, barred)
}

// pause keeps the login from being sent to a failing token server with each request.
func (a *account) pause(try *attempt, resp *http.Response) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.barFrom(try.repository, tokenServerFailed(resp.Request.URL.Host, resp.StatusCode), paused)
}

func tokenServerFailed(host string, code int) error {
	return errors.New("its token server " + host + " answered " + StatusText(code))
}

// barFrom keeps the login from a repository, "" for all, for a while. The caller holds the lock.
func (a *account) barFrom(repository string, why error, long time.Duration) {
	now := time.Now()
	for at, b := range a.bars {
		if now.After(b.until) {
			delete(a.bars, at)
		}
	}
	if len(a.bars) >= maxBarred {
		clear(a.bars)
	}
	a.bars[repository] = refusal{why, now.Add(long)}
}

// barrier returns how the login, or a token for it, was refused a moment ago, or how its token server failed. It returns nil if neither happened.
func (a *account) barrier(repository string, isToken bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, from := range []string{repository, ""} {
		if b, ok := a.bars[from]; ok && time.Now().Before(b.until) && (!isToken || from != "") {
			return b.error
		}
	}
	return nil
}

// prove records that a login was accepted.
func (a *account) prove() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proven = true
}

func (a *account) isProven() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proven
}
