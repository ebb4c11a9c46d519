// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package redirect is the node's redirector: a server on the loopback address that sends containerd on to the mirrors of registries, namespaces and
// repositories. hosts.toml cannot name namespaces and repositories (N4 of docs/reference/semantics.md). For each rank, the redirector answers 307
// with the mirror of that rank. It answers 404 to make containerd continue with the next rank. Order and fallback stay containerd's own. The
// redirector streams from a mirror that containerd could not reach with the settings in hosts.toml.
package redirect

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/complaints"
	"github.com/mirrorset/mirrorset/internal/redirect/failures"
	"github.com/mirrorset/mirrorset/internal/redirect/finds"
	"github.com/mirrorset/mirrorset/internal/redirect/loopback"
	"github.com/mirrorset/mirrorset/internal/redirect/shadow"
	"github.com/mirrorset/mirrorset/internal/redirect/tries"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Config configures a redirector.
type Config struct {
	// Port is the port of 127.0.0.1 to listen on.
	Port int
	// Socket, if it is not nil, is a socket of [loopback.Bind] to listen on. Another process holds it open as well.
	Socket *os.File
	// Keys returns the keys that open the redirector's entries, and is called for each request. If there are none yet, every entry is open, and no
	// mirror gets a login or an authority.
	Keys func() []route.Key
	// Roots returns the authorities that the node trusts. Callers must not change them.
	Roots func() *x509.CertPool
	// OwnTLS returns the node's own TLS settings for a registry; nil if it has none. The redirector streams from a registry with such settings.
	OwnTLS func(host string) (*tls.Config, error)
	// Answered, if it is not nil, receives the result of each request.
	Answered func(Result)
	// Pulls records each request.
	Pulls *accesslog.Log
	// Tried receives each try of a mirror once its outcome is known. AtSource receives each request that reached the source of a rule. A call of
	// [Server.Settle] may call both, too.
	Tried    func(tries.Try)
	AtSource func(source mirrors.Scope, outcome tries.AtSource)
	// WouldRefuse receives each request that would be refused for a watched source (V5), with its image. The image has no tag and no digest if it is
	// unknown which image of a repository a blob belongs to.
	WouldRefuse func(source mirrors.Scope, image string)
	// AllowDefaultHost is true if the node lets blocked wildcards close [route.AnyHost]. Otherwise, no request that comes that way would be refused.
	AllowDefaultHost bool
	// Complained is called when the complaints change, while a request waits.
	Complained func()
	// Worse is called, at most once a second, when the result of [Server.FailedPulls] has become worse.
	Worse func()
	Log   logr.Logger
}

// Rules are the rules that a redirector answers by.
type Rules struct {
	// Digest identifies the rules without the grants.
	Digest string
	// Router finds the mirrors.
	Router *route.Router
	// Blockers maps a blocked source to the sets that block it.
	Blockers map[string]string
	// Watched maps a watched source to the sets in shadow mode that watch it (V3).
	Watched map[string]string
	// Grants are the logins and authorities for mirrors. The redirector streams from a mirror that has a grant.
	Grants grants.Grants

	watch *shadow.Watch
}

// Server is a redirector.
type Server struct {
	config Config
	rules  atomic.Pointer[Rules]
	scout  *scout
	relay  *relay
	finds  *finds.Memory
	failed *failures.Memory
	tries  *tries.Memory
	opened entrances
}

// New returns a redirector without rules. Until it has rules, it cannot decide which sources are blocked, so it redirects no request.
func New(config Config) *Server {
	s := &Server{config: config, finds: finds.New(), failed: failures.New(config.Worse), tries: tries.New(config.Pulls, config.Tried)}
	s.opened.known = make(map[entrance]string)
	s.scout = newScout(s.refuses, config.Roots)
	s.relay = newRelay(config, s.scout, s.refuses)
	return s
}

// SetRules makes the redirector answer all further requests by these rules.
func (s *Server) SetRules(rules Rules) {
	rules.watch = shadow.New(rules.Router, rules.Watched)
	s.rules.Store(&rules)
	s.relay.pool.Keep(rules.Grants)
	s.relay.complaints.Keep(rules.Grants, rules.Router)
}

// Complaints returns the faults of streamed mirrors that an administrator can fix, in the order of the mirrors.
func (s *Server) Complaints() []complaints.Complaint {
	return s.relay.complaints.All()
}

// ServeHTTP answers containerd.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", serverName)
	if r.URL.Path == selfPath && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return
	}
	result := Failed // which it is if a stream breaks off
	if s.config.Answered != nil {
		defer func() { s.config.Answered(result) }()
	}
	result = s.serve(w, r)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) Result {
	if r.ContentLength != 0 { // who says so and sends nothing would hold the connection
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // if it cannot be set, there is no connection to hold
		fail(w, http.StatusBadRequest, "UNSUPPORTED", "the redirector accepts no request with a body")
		return BadRequest
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "the redirector serves only GET and HEAD")
		return BadRequest
	}
	q, ok := parse(r)
	if !ok {
		fail(w, http.StatusNotFound, "NAME_UNKNOWN", "the redirector serves only manifests and blobs of a registry")
		return BadRequest
	}
	rules := s.rules.Load()
	if rules == nil {
		fail(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the redirector has no rules yet; try again")
		return Failed
	}
	q.at, q.rules = time.Now(), rules.Digest
	way, named := s.route(rules.Router, q)
	keys := s.config.Keys()
	switch {
	case len(keys) == 0:
		open := *rules
		open.Grants, rules = grants.Grants{}, &open
	case !s.isOpen(q, way.Rule, keys):
		fail(w, http.StatusNotFound, "NAME_UNKNOWN", "no current hosts.toml of this node has this path")
		return BadRequest
	}
	loopback.NoteLetIn(r)
	q.account = s.open(r, q)
	rank, isRank := q.entry.Rank()
	switch {
	case isRank:
		return s.serveMirror(w, r, q, rules, way, rank, named)
	case way.IsBlocked():
		by := rules.Blockers[string(way.Rule.Source)]
		message := s.refusal(q, way, by)
		s.noteFailed(r, q, "", message)
		s.noteRefused(q, way, message, by)
		s.config.Log.V(1).Info("Refused", "image", q.image, "object", q.object, "why", message)
		fail(w, http.StatusForbidden, "DENIED", message)
		return Refused
	case way.Source.Insecure:
		return s.serveSource(w, r, q, rules, way)
	case q.entry == route.InsecureSource:
		fail(w, http.StatusNotFound, "NAME_UNKNOWN", "this source is not insecure")
		return NoMirror
	}
	redirect(w, q, way.Source)
	s.noteSource(r, q, rules, way, verdict{answer: accesslog.Sent})
	return ToSource
}

// serveSource streams from an insecure source.
func (s *Server) serveSource(w http.ResponseWriter, r *http.Request, q question, rules *Rules, way route.Route) Result {
	v := s.relay.serveSource(w, r, q, way.Source)
	s.noteSource(r, q, rules, way, v)
	if !v.ok {
		return Failed
	}
	v.breakOff()
	return Streamed
}

// route returns the way to the requested content, and how many mirrors the rule names for it. After the mirrors for digests come those that had a tag
// of the repository (T10), because the content of a tag must come from there.
func (s *Server) route(router *route.Router, q question) (way route.Route, named int) {
	way = router.Route(q.host, q.repository, q.mode)
	named = len(way.Mirrors)
	found := s.finds.Of(q.image)
	if q.mode == mirrors.ByTag || len(found) == 0 {
		return way, named
	}
	byTag := router.Route(q.host, q.repository, mirrors.ByTag)
	for i, m := range byTag.Mirrors { // those that the rules still have
		if slices.Contains(found, m) && !slices.Contains(way.Mirrors, m) {
			way.Mirrors, way.Locations = append(way.Mirrors, m), append(way.Locations, byTag.Locations[i])
		}
	}
	return way, named
}

// noteFind records the mirror that had a tag.
func (s *Server) noteFind(q question, mirror route.Target) {
	if q.mode == mirrors.ByTag {
		s.finds.Note(q.image, mirror)
	}
}

// serveMirror sends containerd to the mirror of a rank if that mirror looks usable. After the last rank of a blocked source there is no other place,
// so passing over a slow mirror gains nothing there. If that rank is a find that lacks the content, the redirector waits for the last mirror that the
// rule names.
func (s *Server) serveMirror(w http.ResponseWriter, r *http.Request, q question, rules *Rules, way route.Route, rank, named int) Result {
	if rank >= len(way.Mirrors) {
		q.account.GoesOn()
		fail(w, http.StatusNotFound, "NAME_UNKNOWN", "the source has no mirror with this rank")
		return NoMirror
	}
	isLast := way.IsBlocked() && rank == len(way.Mirrors)-1
	tried := rank
	result, why := s.tryMirror(w, r, q, rules, way, tried, isLast)
	if result == PassedOver && isLast && 0 < named && named <= rank {
		tried = named - 1
		result, _ = s.tryMirror(w, r, q, rules, way, tried, true)
	}
	if result != PassedOver {
		s.noteWatched(q, rules, way.Mirrors[tried], way.Mirrors[rank+1:])
	} else {
		q.account.GoesOn()
		fail(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "mirror "+name(way.Mirrors[rank])+": "+words(why))
	}
	return result
}

// grantsOf returns the grants for the mirror of a rank. They are empty if that mirror is the source itself, among its own mirrors (G4).
func (r *Rules) grantsOf(way route.Route, rank int) grants.Grants {
	if mirror := way.Mirrors[rank]; mirror.Host == way.Source.Host && mirror.Repository == way.Source.Repository {
		return grants.Grants{}
	}
	return r.Grants
}

// tryMirror answers with a mirror. If it passes over the mirror, it returns the reason, and has not answered yet.
func (s *Server) tryMirror(w http.ResponseWriter, r *http.Request, q question, rules *Rules, way route.Route, rank int, isLast bool) (_ Result, why string) {
	mirror := way.Mirrors[rank]
	try := tries.Try{Mirror: way.Locations[rank], Repository: name(mirror), At: time.Now()}
	how, err := s.relay.accessTo(mirror, rules.grantsOf(way, rank))
	before, _ := s.scout.memory.recall(q, mirror) // fresh or not
	var v verdict
	switch {
	case err != nil:
		v = verdict{why: fmt.Sprintf("the node's TLS settings for %s are unusable: %v", mirror.Host, err)}
		s.scout.memory.remember(q, mirror, v)
	case how != nil:
		if v = s.relay.serveMirror(w, r, q, mirror, how, isLast); v.ok {
			s.noteTry(r, q, try, v, false)
			v.breakOff()
			s.noteFind(q, mirror)
			return Streamed, ""
		}
		s.scout.memory.remember(q, mirror, v)
	default:
		v = s.scout.ask(r, q, mirror)
		if v.ok || v.silent && isLast {
			redirect(w, q, mirror)
			s.noteTry(r, q, try, v, true)
			s.noteFind(q, mirror)
			return Redirected, ""
		}
	}
	s.noteTry(r, q, try, v, false)
	if v.fails() {
		s.noteFailed(r, q, name(mirror), words(v.why))
	}
	if v.astray && !before.astray {
		s.config.Log.Info("Skipping a mirror, because it leads to a place that must not be contacted", "mirror", name(mirror), "why", words(v.why))
	}
	return PassedOver, v.why
}
