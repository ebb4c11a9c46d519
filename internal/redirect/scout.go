// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
	"github.com/mirrorset/mirrorset/internal/route"
)

// The bounds of requests to a mirror.
const (
	// deadline is how long a mirror may take before containerd is sent to the next one.
	deadline = 10 * time.Second
	// maxAsked bounds the requests to one registry at the same time.
	maxAsked = 16
	// maxManifest is the size of the largest manifest that containerd accepts, in bytes.
	maxManifest = 4 << 20
)

// scout contacts mirrors before containerd is sent to them. A hanging mirror would cost containerd half a minute for each request. A mirror with
// other content under a digest would fail the pull, although the next mirror has the image. The scout needs no credentials. It uses nothing that it
// receives, so it accepts any certificate. When in doubt, it lets containerd try the mirror.
type scout struct {
	client   *http.Client
	roots    func() *x509.CertPool
	refuses  func(to *url.URL) bool
	deadline time.Duration

	memory   memory
	silences silences
	verified verified

	mu    sync.Mutex
	slots map[string]chan struct{} // by registry
}

// newScout returns a scout that passes over a mirror that redirects to a place that the function refuses. The roots are the authorities that the node
// trusts.
func newScout(refuses func(to *url.URL) bool, roots func() *x509.CertPool) *scout {
	s := &scout{
		refuses: refuses,
		roots:   roots,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see scout
				MaxIdleConnsPerHost: 4,
				IdleConnTimeout:     30 * time.Second,
				// This bounds the part before the content, for many mirrors at the same time.
				MaxResponseHeaderBytes: upstream.MaxHeader,
				// With HTTP/2, a dead connection that nobody noticed would fail every later request.
				TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		deadline: deadline,
		memory:   memory{verdicts: make(map[asked]verdict)},
		verified: verified{byHost: make(map[string]taken)},
		slots:    make(map[string]chan struct{}),
	}
	s.silences = silences{answers: s.answers, silent: make(map[string]*silence), checking: make(map[string]bool)}
	return s
}

// ask returns if a mirror has the requested content, as far as a request without credentials shows.
func (s *scout) ask(r *http.Request, q question, mirror route.Target) verdict {
	if v, ok := s.memory.recall(q, mirror); ok && !v.silent && (v.ok || q.mode == mirrors.ByDigest) {
		return v // of a tag that a mirror lacks, not even this: it may have been pushed a moment ago
	}
	if v, ok := s.memory.distrusts(q, mirror); ok {
		return v
	}
	accept := r.Header.Values("Accept")
	v := verdict{silent: true, why: silentFor(s.deadline)}
	if !s.silences.isSilent(mirror, func() bool { return !s.try(context.Background(), q, mirror, accept).silent }) {
		v = s.try(r.Context(), q, mirror, accept)
	}
	if r.Context().Err() == nil { // else who asked did not wait for the answer, and it is none
		s.memory.remember(q, mirror, v)
	}
	return v
}

func silentFor(d time.Duration) string {
	return fmt.Sprintf("it does not answer within %s", d)
}

// answers reports if a registry answers at all, even with an error.
func (s *scout) answers(host string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return true
	}
	req.Header.Set("User-Agent", serverName)
	resp, err := s.client.Do(req)
	if err == nil {
		_ = resp.Body.Close() // nothing of it is of interest
	}
	return ctx.Err() == nil // what comes when the connection ends is no answer
}

// try contacts the mirror, and notes if it answers at all.
func (s *scout) try(parent context.Context, q question, mirror route.Target, accept []string) verdict {
	ctx, cancel := context.WithTimeout(parent, s.deadline)
	defer cancel()
	slot := s.slot(mirror.Host)
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	case <-ctx.Done():
		return verdict{silent: true, why: silentFor(s.deadline)} // all others that were asked are still waited for
	}
	v := s.request(ctx, q, mirror, accept)
	if ctx.Err() != nil && parent.Err() == nil { // what it answers when the connection ends is no answer
		v = verdict{silent: true, why: silentFor(s.deadline)}
	}
	switch {
	case parent.Err() != nil: // the client closed the connection, which says nothing about the mirror
	case v.silent:
		s.silences.noteSilent(mirror)
	default:
		s.silences.note(name(mirror), true)
	}
	return v
}

// slot bounds the requests to one registry, so that a hanging registry does not stop the others.
func (s *scout) slot(host string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots[host] == nil {
		s.slots[host] = make(chan struct{}, maxAsked)
	}
	return s.slots[host]
}

// request requests a manifest with its content, because only the content shows if it matches the digest. It requests only the headers of a blob,
// which containerd checks itself, and of a tag, whose content only the mirror knows (T12).
func (s *scout) request(ctx context.Context, q question, mirror route.Target, accept []string) verdict {
	method, isManifest := http.MethodHead, q.kind == manifests && q.mode == mirrors.ByDigest
	if isManifest {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, urlOf("https", mirror, q), nil)
	if err != nil {
		return verdict{why: err.Error()}
	}
	req.Header["Accept"] = accept
	req.Header.Set("User-Agent", serverName)
	var at netip.AddrPort // the mirror's; the zero value where it is the proxy that is connected to
	if proxy, err := http.ProxyFromEnvironment(req); err == nil && proxy == nil {
		req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
			at, _ = netip.ParseAddrPort(c.Conn.RemoteAddr().String()) // there is nothing else to connect to
		}}))
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read from
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 && !s.mayLead(at.Addr(), to) {
		return verdict{astray: true, why: fmt.Sprintf("it redirects to %s, %v", to.Host, upstream.ErrAstray)}
	}
	switch {
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500:
		return answered(resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return s.unlessDistrusted(unsure(resp.StatusCode), resp, mirror)
	case !isManifest:
		return s.unlessDistrusted(verdict{ok: true, answer: accesslog.Served}, resp, mirror)
	}
	got := q.digest().Algorithm().Hash()
	most := int64(maxManifest)
	if resp.ContentLength >= 0 { // no more is copied by, either
		most = min(most, resp.ContentLength)
	}
	size, err := io.Copy(got, io.LimitReader(resp.Body, most+1))
	if err != nil {
		return unreached(err)
	}
	if err := check(size, got, q.digest()); err != nil {
		return verdict{wrong: true, why: err.Error()}
	}
	return s.unlessDistrusted(verdict{ok: true, answer: accesslog.Served}, resp, mirror)
}

// unlessDistrusted returns the verdict about a mirror that containerd is sent to. If the node does not accept the mirror's certificate, the verdict
// is that it fails. containerd still tries it, because it may know an authority that this process does not.
func (s *scout) unlessDistrusted(v verdict, resp *http.Response, mirror route.Target) verdict {
	if resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
		return v
	}
	host := (&url.URL{Host: mirror.Host}).Hostname()
	if err := s.verified.verify(host, resp.TLS.PeerCertificates, s.roots()); err != nil {
		return verdict{ok: true, answer: accesslog.Error, why: (&upstream.Untrusted{Host: mirror.Host, Err: err}).Error()}
	}
	return v
}

// mayLead reports if containerd, which follows redirects itself, may go to the place that a mirror redirects to, as far as a URL shows (N11).
func (s *scout) mayLead(from netip.Addr, to *url.URL) bool {
	literal, err := netip.ParseAddr(to.Hostname())
	return !s.refuses(to) && (err != nil || upstream.MayLead(from, literal))
}

// unreached judges a mirror that could not be reached, for another reason than a timeout. containerd will notice this immediately, and perhaps has a
// way to the mirror that this process does not have.
func unreached(err error) verdict {
	var at *url.Error // the reader already knows the URL
	if errors.As(err, &at) {
		err = at.Err
	}
	return verdict{ok: true, why: err.Error()}
}

// check returns an error about a manifest with a wrong size or digest.
func check(size int64, got hash.Hash, want digest.Digest) error {
	if size > maxManifest {
		return fmt.Errorf("its manifest has more than %d bytes", maxManifest)
	}
	if got := digest.NewDigest(want.Algorithm(), got); got != want {
		return fmt.Errorf("its manifest is another one, with digest %s", got)
	}
	return nil
}
