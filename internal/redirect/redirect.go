// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package redirect is the node's redirector: a server on the loopback address that sends containerd on to the mirrors of a
// registry, and of namespaces and repositories, which hosts.toml cannot name (N4 of docs/semantics.md). For each rank it answers 307 with the
// mirror of that rank, or 404, with which containerd goes on to the next; order and fallback stay containerd's own. A mirror
// that containerd could not reach with what hosts.toml tells it is streamed.
package redirect

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/go-logr/logr"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/complaints"
	"github.com/mirrorset/mirrorset/internal/redirect/failures"
	"github.com/mirrorset/mirrorset/internal/redirect/loopback"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Config is what a redirector has to know.
type Config struct {
	// Port is the one of 127.0.0.1 to listen on.
	Port int
	// Socket, if it is not nil, is one of [loopback.Bind] to listen by, which another process holds open as well.
	Socket *os.File
	// Keys returns those that open its entries, and is asked for each request. Where there are none yet, every entry is open, and no mirror gets a
	// login or an authority.
	Keys func() []route.Key
	// Roots returns the authorities that the node trusts, which nobody may change.
	Roots func() *x509.CertPool
	// OwnTLS returns the node's own TLS settings for a registry; nil where it has none. A registry with such settings is
	// streamed.
	OwnTLS func(host string) (*tls.Config, error)
	// Answered, if it is not nil, is told what each request came to.
	Answered func(Result)
	// Complained is called when the complaints are others than before, while a request waits.
	Complained func()
	// Worse is called, at most once a second, when what [Server.FailedPulls] returned has become worse.
	Worse func()
	Log   logr.Logger
}

// Rules are what a redirector answers by.
type Rules struct {
	// Digest names the rules, whatever is granted.
	Digest string
	// Router finds the mirrors.
	Router *route.Router
	// Blockers name, by blocked source, the sets that block it.
	Blockers map[string]string
	// Grants are the logins and authorities for mirrors. A mirror that has one is streamed.
	Grants grants.Grants
}

// Server is a redirector.
type Server struct {
	config Config
	rules  atomic.Pointer[Rules]
	scout  *scout
	relay  *relay
	finds  finds
	failed *failures.Memory
}

// New returns a redirector that knows no rules yet, and so cannot tell what is blocked: it sends nobody anywhere.
func New(config Config) *Server {
	s := &Server{config: config, finds: finds{byRepository: make(map[string]find)}, failed: failures.New(config.Worse)}
	s.scout = newScout(s.refuses)
	s.relay = newRelay(config, s.scout, s.refuses)
	return s
}

// SetRules has all further requests answered by these rules.
func (s *Server) SetRules(rules Rules) {
	s.rules.Store(&rules)
	s.relay.pool.Keep(rules.Grants)
	s.relay.complaints.Keep(rules.Grants, rules.Router)
}

// Complaints returns the faults of streamed mirrors that an administrator can put right, in the order of the mirrors.
func (s *Server) Complaints() []complaints.Complaint {
	return s.relay.complaints.All()
}

// selfPath is where a redirector says that it is one.
const selfPath = route.RedirectorPath + "self"

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
		fail(w, http.StatusBadRequest, "UNSUPPORTED", "a request has no body here")
		return BadRequest
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "nothing but GET and HEAD is served here")
		return BadRequest
	}
	q, ok := parse(r)
	if !ok {
		fail(w, http.StatusNotFound, "NAME_UNKNOWN", "only manifests and blobs of a registry are served here")
		return BadRequest
	}
	rules := s.rules.Load()
	if rules == nil {
		fail(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the rules of this node are not known yet")
		return Failed
	}
	q.at, q.rules = time.Now(), rules.Digest
	way, named := s.route(rules.Router, q)
	keys := s.config.Keys()
	switch {
	case len(keys) == 0:
		rules = &Rules{Router: rules.Router, Blockers: rules.Blockers}
	case !isOpen(q, way.Rule, keys):
		fail(w, http.StatusNotFound, "NAME_UNKNOWN", "this is no path of a hosts.toml that this node has now")
		return BadRequest
	}
	loopback.NoteLetIn(r)
	rank, isRank := q.entry.Rank()
	switch {
	case isRank:
		return s.serveMirror(w, r, q, rules, way, rank, named)
	case way.IsBlocked():
		message := s.refusal(q, way, rules.Blockers[string(way.Rule.Source)])
		s.noteFailed(r, q, "", message)
		s.config.Log.V(1).Info("Refused", "image", q.host+"/"+q.repository, "object", q.object, "why", message)
		fail(w, http.StatusForbidden, "DENIED", message)
		return Refused
	case way.Source.Insecure:
		return s.relay.serveSource(w, r, q, way.Source)
	}
	redirect(w, q, way.Source)
	return ToSource
}

// isOpen reports whether the one who asks has read a hosts.toml of this node (N10): that of the registry, or that of all that have none. The latter
// opens only what a wildcard has a say about, or no rule with mirrors.
func isOpen(q question, rule *mirrors.Rule, keys []route.Key) bool {
	ofAny := rule == nil || rule.Source.IsWildcard() || len(rule.Mirrors) == 0
	return slices.ContainsFunc(keys, func(k route.Key) bool {
		return k.Opens(q.element, q.host, q.entry) || ofAny && k.Opens(q.element, route.AnyHost, q.entry)
	})
}

// route returns the way to what is asked for, and how many mirrors the rule names for it. Behind the mirrors for digests stand those that a tag of the repository was found at
// (T10): what a tag names has to come from there.
func (s *Server) route(router *route.Router, q question) (way route.Route, named int) {
	way = router.Route(q.host, q.repository, q.mode())
	named = len(way.Mirrors)
	found := s.finds.of(q)
	if q.mode() == mirrors.ByTag || len(found) == 0 {
		return way, named
	}
	for _, m := range router.Route(q.host, q.repository, mirrors.ByTag).Mirrors { // those that the rules still have
		if slices.Contains(found, m) && !slices.Contains(way.Mirrors, m) {
			way.Mirrors = append(way.Mirrors, m)
		}
	}
	return way, named
}

// serveMirror sends containerd to the mirror of a rank if that one is worth the way. Behind the last rank of a blocked source there is
// nothing, so nothing is gained by passing over a mirror for being slow. Where that rank is a find that lacks the content, the mirror to
// wait for is the last one that the rule names.
func (s *Server) serveMirror(w http.ResponseWriter, r *http.Request, q question, rules *Rules, way route.Route, rank, named int) Result {
	if rank >= len(way.Mirrors) {
		fail(w, http.StatusNotFound, "NAME_UNKNOWN", "there is no mirror of this rank")
		return NoMirror
	}
	isLast := way.IsBlocked() && rank == len(way.Mirrors)-1
	result, why := s.tryMirror(w, r, q, rules.grantsOf(way, rank), way.Mirrors[rank], isLast)
	if result == PassedOver && isLast && 0 < named && named <= rank {
		result, _ = s.tryMirror(w, r, q, rules.grantsOf(way, named-1), way.Mirrors[named-1], true)
	}
	if result == PassedOver {
		fail(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "mirror "+name(way.Mirrors[rank])+": "+why)
	}
	return result
}

// grantsOf returns what the mirror of a rank is granted: nothing where it is the source itself, among its own mirrors (G4).
func (r *Rules) grantsOf(way route.Route, rank int) grants.Grants {
	if mirror := way.Mirrors[rank]; mirror.Host == way.Source.Host && mirror.Repository == way.Source.Repository {
		return grants.Grants{}
	}
	return r.Grants
}

// tryMirror answers with a mirror. Where it is passed over, it says why, and nothing has been answered yet.
func (s *Server) tryMirror(w http.ResponseWriter, r *http.Request, q question, granted grants.Grants, mirror route.Target, isLast bool) (_ Result, why string) {
	how, err := s.relay.accessTo(mirror, granted)
	before, _ := s.scout.memory.recall(q, mirror) // fresh or not
	var v verdict
	switch {
	case err != nil:
		v = verdict{why: fmt.Sprintf("the node's TLS settings for %s cannot be used: %v", mirror.Host, err)}
		s.scout.memory.remember(q, mirror, v)
	case how != nil:
		if v = s.relay.serveMirror(w, r, q, mirror, how, isLast); v.ok {
			s.finds.note(q, mirror)
			return Streamed, ""
		}
		s.scout.memory.remember(q, mirror, v)
	default:
		v = s.scout.ask(r, q, mirror)
		if v.ok || v.silent && isLast {
			redirect(w, q, mirror)
			s.finds.note(q, mirror)
			return Redirected, ""
		}
	}
	if v.fails() {
		s.noteFailed(r, q, name(mirror), v.why)
	}
	if v.astray && !before.astray {
		s.config.Log.Info("A mirror is passed over, because it leads to where it must not", "mirror", name(mirror), "why", v.why)
	}
	return PassedOver, v.why
}

// refuses reports whether a registry must not send on to a place: one that is blocked (Q4), this redirector, or one that is written so that it
// cannot be compared.
func (s *Server) refuses(to *url.URL) bool {
	host, port, ok := addressOf(to)
	at, router := path.Clean("/"+to.Path), s.rules.Load().Router
	return !ok || strings.HasPrefix(at, route.RedirectorPath) || router.Blocks(host+":"+port, at) || (port == "80" || port == "443") && router.Blocks(host, at)
}

// addressOf returns the host and port of a URL as sources are written. It is not ok where a client of HTTP makes another host of it, as of letters
// beyond ASCII.
func addressOf(of *url.URL) (host, port string, ok bool) {
	host = strings.ToLower(strings.TrimSuffix(of.Hostname(), "."))
	if address, err := netip.ParseAddr(host); err == nil {
		host = address.Unmap().String()
	}
	number, err := strconv.ParseUint(cmp.Or(of.Port(), map[string]string{"http": "80", "https": "443"}[of.Scheme]), 10, 16)
	beyond := func(r rune) bool { return r > unicode.MaxASCII }
	return host, strconv.FormatUint(number, 10), err == nil && !strings.ContainsFunc(host, beyond)
}

func name(t route.Target) string {
	return t.Host + "/" + t.Repository
}

func urlOf(scheme string, t route.Target, q question) string {
	return scheme + "://" + t.Host + "/v2/" + t.Repository + "/" + q.kind + "/" + q.object
}
