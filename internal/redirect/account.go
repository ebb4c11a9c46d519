// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"net/http"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/redirect/shadow"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Settle counts the tries that containerd did not come back from in time (V2), so that these counts are complete for their reader.
func (s *Server) Settle() { s.tries.Settle() }

// open opens the account of a request.
func (s *Server) open(r *http.Request, q question) *tries.Account {
	return s.tries.Begin(tries.Request{
		At: q.at, Method: r.Method, Kind: q.kind, Repository: q.image, Object: q.object, Resolves: r.Method == http.MethodHead && q.kind == manifests, Entry: q.entry,
	})
}

// noteTry records the outcome of a try. A try has no outcome if the client closed the connection before anything was sent.
func (s *Server) noteTry(r *http.Request, q question, try tries.Try, v verdict, isSent bool) {
	if r.Context().Err() != nil && v.answered.IsZero() {
		return
	}
	v.describe(r, &try)
	if isSent {
		q.account.Sent(try)
	} else {
		q.account.Tried(try)
	}
}

// describe copies the verdict into a try.
func (v verdict) describe(r *http.Request, try *tries.Try) {
	try.Outcome, try.Why, try.Took = v.outcome(), words(v.why), time.Since(try.At)
	try.Answered = try.Took
	if !v.answered.IsZero() {
		try.Answered = v.answered.Sub(try.At)
	}
	if r.Method != http.MethodHead { // whose content went nowhere
		try.Bytes = v.bytes
	}
}

// breakOff ends the connection if a stream broke off, so that the stream does not look complete.
func (v verdict) breakOff() {
	if v.answer == accesslog.Error {
		panic(http.ErrAbortHandler)
	}
}

// noteSource records a request that went to the source.
func (s *Server) noteSource(r *http.Request, q question, rules *Rules, way route.Route, v verdict) {
	try := tries.Try{Repository: q.image, At: q.at}
	v.describe(r, &try)
	q.account.AtSource(try)
	if way.Rule != nil {
		s.config.AtSource(way.Rule.Source, tries.SentOn)
	}
	s.noteWatched(q, rules, way.Source, nil)
}

// noteRefused records a request that is refused because of sets.
func (s *Server) noteRefused(q question, way route.Route, message, by string) {
	q.account.AtSource(tries.Try{Repository: q.image, Outcome: accesslog.Refused, Took: time.Since(q.at)})
	q.account.Refused(message, by)
	s.config.AtSource(way.Rule.Source, tries.Refused)
}

// noteWatched records a request that would be refused if no set were in shadow mode (V5). containerd is sent to a place, or the redirector streams
// from there, and the mirrors that are left have not been contacted yet.
func (s *Server) noteWatched(q question, rules *Rules, to route.Target, left []route.Target) {
	sources, sets := rules.watch.WouldRefuse(shadow.Request{Host: q.host, Repository: q.repository, Mode: q.mode, To: to, Left: left})
	if len(sources) == 0 || !s.config.AllowDefaultHost && s.isBy(q, route.AnyHost, s.config.Keys()) {
		return
	}
	image := q.account.WouldRefuse(sets, q.kind == blobs)
	for _, source := range sources {
		s.config.AtSource(source, tries.WouldBeRefused)
		s.config.WouldRefuse(source, image)
	}
}
