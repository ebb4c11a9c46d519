// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/complaints"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
	"github.com/mirrorset/mirrorset/internal/route"
)

const (
	// lastDeadline is the deadline of the last mirror of a blocked source: a little less than containerd's own.
	lastDeadline = 25 * time.Second
	// maxBuffered bounds the manifests in memory at the same time, where they are checked before they are passed on.
	maxBuffered = 8
)

// relay streams content that containerd could not fetch by itself. The registry is insecure, has a login or an authority of its own, or has TLS
// settings on the node where CRI-O looks for them. The relay passes on no challenge. containerd would answer a challenge to this server, and so to
// any server in its place.
type relay struct {
	ownTLS     func(host string) (*tls.Config, error)
	roots      func() *x509.CertPool
	settings   *upstream.Settings
	scout      *scout
	pool       *upstream.Pool
	complaints *complaints.Memory
	buffered   chan struct{} // the manifests that are held in memory
	stalled    time.Duration // how long containerd may take none of a stream
}

func newRelay(config Config, scout *scout, refuses func(to *url.URL) bool) *relay {
	return &relay{
		ownTLS:     config.OwnTLS,
		roots:      config.Roots,
		settings:   upstream.NewSettings(config.Roots),
		scout:      scout,
		pool:       upstream.NewPool(serverName, refuses),
		complaints: complaints.New(config.Complained),
		buffered:   make(chan struct{}, maxBuffered),
		stalled:    upstream.Stalled,
	}
}

// access is how to stream from a registry.
type access struct {
	tls   *tls.Config
	login grants.Login
	// key is the place that the login is for; "" without a login.
	key mirrors.Scope
}

// accessTo returns how to stream from a mirror; nil if containerd can reach the mirror itself.
func (s *relay) accessTo(mirror route.Target, granted grants.Grants) (*access, error) {
	key, login := granted.Find(mirrors.Scope(name(mirror)))
	settings, err := s.tlsFor(mirror, granted.Authority(mirror.Host), key != "")
	if err != nil || settings == nil {
		return nil, err
	}
	return &access{settings, login, key}, nil
}

// tlsFor returns the TLS settings for streaming from a registry; nil if it needs none and has no login. Callers must not change them.
func (s *relay) tlsFor(t route.Target, authority []byte, hasLogin bool) (*tls.Config, error) {
	if s.ownTLS != nil {
		own, err := s.ownTLS(t.Host)
		if err != nil {
			return nil, err
		}
		if own != nil {
			if own.RootCAs == nil {
				own.RootCAs = s.roots()
			}
			return upstream.Complete(own, t.Insecure, authority), nil
		}
	}
	if !t.Insecure && authority == nil && !hasLogin {
		return nil, nil //nolint:nilnil // no settings, and no error
	}
	if t.Insecure { // so that a source and a mirror there have the same, and the same connections
		authority = nil
	}
	return s.settings.Of(t.Insecure, authority), nil
}

// open sends containerd's request to a registry. A containerd that fetches layers in parts also requests the part of a manifest that begins at 0;
// that is the complete manifest.
func (s *relay) open(r *http.Request, q question, t route.Target, how *access, patience time.Duration, whole bool) (*http.Response, error) {
	header := http.Header{"Accept": r.Header["Accept"]}
	if q.kind == blobs {
		header["Range"] = r.Header["Range"]
	}
	return s.pool.Open(r.Context(), upstream.Request{
		Method: r.Method, Target: t, Object: q.kind + "/" + q.object,
		Header: header, TLS: how.tls, Login: how.login, Patience: patience, Whole: whole,
	})
}

// serveMirror streams from a mirror, and waits longer for the last one. If the verdict is not ok, nothing has been answered yet. Only the content of
// a manifest shows if it matches a digest. So the relay requests the complete manifest, even if containerd needs only its headers.
func (s *relay) serveMirror(w http.ResponseWriter, r *http.Request, q question, mirror route.Target, how *access, isLast bool) verdict {
	if v, ok := s.scout.memory.distrusts(q, mirror); ok {
		return v
	}
	again := r.Clone(context.WithoutCancel(r.Context()))
	patience := lastDeadline
	if !isLast {
		patience = s.scout.deadline
		if s.scout.silences.isSilent(mirror, func() bool { return s.answers(again, q, mirror, how) }) {
			return verdict{silent: true, why: silentFor(patience)}
		}
	}
	isManifest := q.kind == manifests && q.mode == mirrors.ByDigest
	if isManifest {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	resp, err := s.open(r, q, mirror, how, patience, isManifest)
	if err != nil || resp.StatusCode < http.StatusInternalServerError {
		s.complaints.Note(complaints.Answer{Mirror: mirrors.Scope(name(mirror)), Object: q.kind + "/" + q.object, Login: how.login, Key: how.key, Err: err})
	}
	if err != nil {
		if errors.Is(err, upstream.ErrSilent) {
			s.scout.silences.noteSilent(mirror)
		}
		return unanswered(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read from
	s.scout.silences.note(name(mirror), true)
	switch {
	case resp.StatusCode != http.StatusOK && (q.kind == manifests || resp.StatusCode != http.StatusPartialContent):
		return answered(resp.StatusCode)
	case isManifest:
		return s.passManifest(w, r, q, resp)
	}
	return s.pass(w, r, resp)
}

// unanswered returns the verdict about a mirror that answered with an error.
func unanswered(err error) verdict {
	var refused *upstream.Refused
	v := verdict{silent: errors.Is(err, upstream.ErrSilent), astray: errors.Is(err, upstream.ErrAstray), why: err.Error()}
	if errors.As(err, &refused) {
		v.answer = accesslog.Credentials
	} else {
		v.broken = !errors.Is(err, upstream.ErrBusy)
	}
	return v
}

// passManifest checks a manifest before it passes it on.
func (s *relay) passManifest(w http.ResponseWriter, r *http.Request, q question, resp *http.Response) verdict {
	select {
	case s.buffered <- struct{}{}:
		defer func() { <-s.buffered }()
	case <-r.Context().Done():
		return verdict{why: "the client closed the connection"}
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1)) // within the deadline of the answer
	if err != nil {
		return verdict{broken: true, why: err.Error()}
	}
	got := q.digest().Algorithm().Hash()
	_, _ = got.Write(content) // a hash takes everything
	if err := check(int64(len(content)), got, q.digest()); err != nil {
		return verdict{wrong: true, why: err.Error()}
	}
	resp.Header.Set("Content-Length", strconv.Itoa(len(content))) // the mirror need not have said it
	passHeaders(w, resp)
	v := verdict{ok: true, answer: accesslog.Served, answered: time.Now()}
	n, _ := w.Write(content) // who asked may have gone, or wanted the headers
	v.bytes = int64(n)
	return v
}

// answers reports if a mirror that did not answer before does so now.
func (s *relay) answers(r *http.Request, q question, mirror route.Target, how *access) bool {
	r.Method = http.MethodHead
	resp, err := s.open(r, q, mirror, how, s.scout.deadline, false)
	if err == nil {
		_ = resp.Body.Close() // there is nothing in it
	}
	return !errors.Is(err, upstream.ErrSilent)
}

// serveSource streams from an insecure source, also for images by tag. The source gets no login (G4).
func (s *relay) serveSource(w http.ResponseWriter, r *http.Request, q question, source route.Target) verdict {
	own, err := s.tlsFor(source, nil, false)
	if err != nil {
		v := verdict{why: fmt.Sprintf("the node's TLS settings for %s are unusable: %v", source.Host, err)}
		fail(w, http.StatusBadGateway, "UNKNOWN", words(v.why))
		return v
	}
	resp, err := s.open(r, q, source, &access{tls: own}, s.scout.deadline, false)
	var refused *upstream.Refused
	switch {
	case errors.As(err, &refused):
		fail(w, http.StatusForbidden, "DENIED", fmt.Sprintf("source %s requires credentials, but the redirector never sends credentials to an insecure registry", name(source)))
		return unanswered(err)
	case err != nil:
		fail(w, http.StatusBadGateway, "UNKNOWN", fmt.Sprintf("source %s: %s", name(source), words(err.Error())))
		return unanswered(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read from
	if resp.StatusCode >= 300 {
		fail(w, resp.StatusCode, "UNKNOWN", fmt.Sprintf("source %s answered %s", name(source), upstream.StatusText(resp.StatusCode)))
		return answered(resp.StatusCode)
	}
	return s.pass(w, r, resp)
}
