// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxSmall bounds an answer without content, in bytes: a token, or a refusal.
const maxSmall = 64 << 10

// gate sends every request of an account, however the library reacts to a registry's answers. Only the gate decides which requests carry the login.
type gate struct{ *account }

// RoundTrip sends a request.
func (g gate) RoundTrip(req *http.Request) (*http.Response, error) {
	try, exchange := attemptOf(req.Context()), exchangeOf(req.Context())
	req = req.Clone(req.Context())
	if exchange != nil {
		if err := g.admit(req, try); err != nil {
			return nil, err
		}
	} else if req.URL.Scheme+"://"+req.URL.Host != try.registry {
		req.Header.Del("Authorization")
	}
	isToken := exchange == nil && g.login.RegistryToken == "" && strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ")
	sends := g.hasLogin() && (exchange != nil || req.Header.Get("Authorization") != "") && !isToken
	if sends && !g.isProven() {
		select {
		case g.unproven <- struct{}{}:
			defer func() { <-g.unproven }()
		case <-time.After(unprovenWait):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if sends || isToken {
		if refused := g.barrier(try.repository, isToken); refused != nil {
			return nil, refused
		}
	}
	req, err := g.client.reach.admit(req, try)
	if err != nil {
		return nil, err
	}
	resp, err := g.client.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	preferKnown(resp.Header)
	isRefused := isRefusal(resp.StatusCode, exchange != nil)
	switch {
	case !try.sent && exchange == nil && wantsTokenInstead(req, resp): // the library fetches the token next
	case isToken && resp.StatusCode == http.StatusForbidden: // of what is asked for; another token may have the right by then
		g.tokens.forget(try.scope())
	case sends && exchange == nil && resp.StatusCode == http.StatusForbidden && g.isProven(): // the same of a login that is right
	case isRefused && (sends || isToken && g.hasLogin() && try.renewed):
		g.bar(try, resp, isToken)
	case exchange != nil && sends && resp.StatusCode >= http.StatusBadRequest:
		g.pause(try, resp)
	case sends && (resp.StatusCode < http.StatusBadRequest || resp.StatusCode == http.StatusNotFound):
		g.prove()
	}
	if exchange == nil {
		try.sent = try.sent || req.Header.Get("Authorization") != ""
		try.wantsPassword = isRefused && hasScheme(resp.Header.Get("WWW-Authenticate"), "basic")
	}
	if isRefused || exchange != nil { // after a complete read, the connection can be used again
		return small(resp, exchange)
	}
	return resp, nil
}

// isRefusal reports if an answer means that a login does not suffice. A token server answers 400 to a revoked identity token (RFC 6749, section 5.2).
func isRefusal(code int, ofTokenServer bool) bool {
	return code == http.StatusUnauthorized || code == http.StatusForbidden || ofTokenServer && code == http.StatusBadRequest
}

// admit limits a request to a token server to the one scope, whatever the registry asks for. The library makes sure that only an insecure registry
// uses a token server without TLS.
func (g gate) admit(req *http.Request, try *attempt) error {
	if g.client.pool.refuses(req.URL) {
		return fmt.Errorf("it names token server %s, %w", req.URL.Host, ErrAstray)
	}
	query := req.URL.Query()
	query.Del("scope")
	if req.Body == nil {
		query.Set("scope", try.scope())
	} else {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			return err
		}
		form, err := url.ParseQuery(string(text))
		if err != nil {
			return err
		}
		form.Set("scope", try.scope())
		body := form.Encode()
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
		req.ContentLength = int64(len(body))
	}
	req.URL.RawQuery = query.Encode()
	return nil
}

// wantsTokenInstead reports if a registry requires a token for this repository, although it requires a password for others.
func wantsTokenInstead(req *http.Request, resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized && hasScheme(req.Header.Get("Authorization"), "basic") && hasScheme(resp.Header.Get("WWW-Authenticate"), "bearer")
}

// preferKnown moves a challenge that the library can answer to the front, because the library reads only the first.
func preferKnown(header http.Header) {
	challenges := header.Values("WWW-Authenticate")
	for _, scheme := range []string{"bearer", "basic"} {
		for _, challenge := range challenges {
			if hasScheme(challenge, scheme) {
				header.Set("WWW-Authenticate", challenge)
				return
			}
		}
	}
}

// hasScheme reports if a challenge, or a login, has a scheme. The scheme is in lower case.
func hasScheme(text, scheme string) bool {
	first, _, _ := strings.Cut(text, " ")
	return strings.ToLower(first) == scheme
}

// small reads a complete answer, and notes how long a token in it is valid.
func small(resp *http.Response, exchange *exchange) (*http.Response, error) {
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxSmall))
	_ = resp.Body.Close() // it was only read from
	if err != nil {
		return nil, err
	}
	if exchange != nil {
		exchange.note(content)
	}
	resp.Body = io.NopCloser(bytes.NewReader(content))
	return resp, nil
}
