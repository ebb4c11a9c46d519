// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package complaints remembers the faults of streamed mirrors that somebody can put right (N4 of docs/reference/semantics.md): a login that is refused, wanted, or
// cannot be sent, and a certificate that is not accepted. A complaint stands until an answer shows that the fault is gone, the login or the authority is
// another one, or no rule names the mirror any more; one that nothing renews ends after a day, or after an hour where it is about a single repository.
package complaints

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Kind is what a complaint is about.
type Kind string

// The kinds.
const (
	LoginRefused       Kind = "LoginRefused"
	LoginNeeded        Kind = "LoginNeeded"
	CertificateExpired Kind = "CertificateExpired"
	AuthorityUnknown   Kind = "AuthorityUnknown"
	CertificateName    Kind = "CertificateName"
)

// Complaint is something about a mirror that an administrator can put right. It holds no secret.
type Complaint struct {
	// Mirror is the registry, or the place that the login is for.
	Mirror string
	Kind   Kind
	// Message says what happened, and Remedy what to do.
	Message, Remedy string
}

const (
	// maxComplaints bounds the complaints.
	maxComplaints = 64
	// stale is how long a complaint stays that nothing renews, and staleOfOne one about a single repository: that may be none that anybody wants.
	stale      = 24 * time.Hour
	staleOfOne = time.Hour
	// settled is how long a complaint keeps its words.
	settled = time.Minute
)

// complaint is one with what it depends on.
type complaint struct {
	Complaint
	of        mirrors.Scope // the repository that it came up at
	login     grants.Login
	authority string
	until     time.Time
	since     time.Time // it has had these words
}

// cause is what a complaint is known by.
type cause struct {
	mirror string
	// ofCertificate is for a complaint about a certificate, of which the last one counts, and else about a login.
	ofCertificate bool
	// of is the repository, and object what was asked for there, as only a good answer for that ends the complaint; both are "" where the
	// login, or the certificate, is no good for any.
	of     mirrors.Scope
	object string
}

func (k Kind) isOfCertificate() bool {
	return k == CertificateExpired || k == AuthorityUnknown || k == CertificateName
}

// Answer is how a mirror answered.
type Answer struct {
	// Mirror is its repository, and Object what was asked for there, as in manifests/latest.
	Mirror mirrors.Scope
	Object string
	// Login is the one for the repository, and Key the place that it is for; both are empty without one.
	Login grants.Login
	Key   mirrors.Scope
	// Err is that of package upstream; nil where the mirror answered well.
	Err error
}

// Memory remembers the complaints about all mirrors, under the rules and grants of the moment.
type Memory struct {
	changed func()

	mu      sync.Mutex
	granted grants.Grants
	byCause map[cause]complaint
}

// New returns a memory that calls the function when the complaints are others than before.
func New(changed func()) *Memory {
	return &Memory{changed: changed, byCause: make(map[cause]complaint)}
}

// Note takes note of how a mirror answered. What a login that is another one by now came to says nothing.
func (m *Memory) Note(a Answer) {
	found, everywhere, isComplaint := about(a.Mirror, string(a.Key), a.Err)
	if a.Err != nil && !isComplaint {
		return // which says nothing about the login or the certificate
	}
	host := a.Mirror.Host()
	m.mu.Lock()
	changes := false
	switch login, _ := m.granted.Login(a.Mirror); {
	case login != a.Login:
	case isComplaint:
		changes = m.add(a.Object, everywhere, complaint{Complaint: found, of: a.Mirror, login: login, authority: string(m.granted.Authority(host))})
		if !found.Kind.isOfCertificate() { // it has answered, so its certificate is good
			changes = m.end(func(by cause) bool { return by.mirror == host && by.ofCertificate && by.of == "" }) || changes
		}
	default:
		changes = m.end(func(by cause) bool {
			return (by.mirror == host || by.mirror == string(a.Key)) && (by.of == "" || by.of == a.Mirror && by.object == a.Object)
		})
	}
	m.mu.Unlock()
	if changes {
		m.changed()
	}
}

// end forgets complaints, and returns whether there were any. The lock is held.
func (m *Memory) end(which func(cause) bool) bool {
	before := len(m.byCause)
	maps.DeleteFunc(m.byCause, func(by cause, _ complaint) bool { return which(by) })
	return len(m.byCause) != before
}

// add returns whether a complaint says anything new. One that is said in other words all the time has the same words for a while. The lock is
// held.
func (m *Memory) add(object string, everywhere bool, found complaint) (isNew bool) {
	now := time.Now()
	by := cause{found.Mirror, found.Kind.isOfCertificate(), found.of, object}
	found.until, found.since = now.Add(staleOfOne), now
	if everywhere {
		by.of, by.object, found.until = "", "", now.Add(stale)
	}
	known, isKnown := m.byCause[by]
	switch isKnown = isKnown && now.Before(known.until); {
	case isKnown && (known.Complaint == found.Complaint || known.Kind == found.Kind && now.Sub(known.since) < settled):
		found.Complaint, found.since = known.Complaint, known.since
	case len(m.byCause) >= maxComplaints:
		m.makeRoom()
	}
	m.byCause[by] = found
	return !isKnown || known.Complaint != found.Complaint
}

// makeRoom forgets the complaint that ends next. The lock is held.
func (m *Memory) makeRoom() {
	var next cause
	for by, known := range m.byCause {
		if first, ok := m.byCause[next]; !ok || known.until.Before(first.until) {
			next = by
		}
	}
	delete(m.byCause, next)
}

// Keep has the memory go by these rules and grants. It forgets complaints about logins and authorities that are others by now, and about mirrors that
// no rule names any more.
func (m *Memory) Keep(granted grants.Grants, router *route.Router) {
	m.mu.Lock()
	m.granted = granted
	before := len(m.byCause)
	maps.DeleteFunc(m.byCause, func(_ cause, known complaint) bool {
		login, _ := granted.Login(known.of)
		isNew := login != known.login
		if known.Kind.isOfCertificate() {
			isNew = string(granted.Authority(known.of.Host())) != known.authority
		}
		return isNew || !router.HasMirror(known.of)
	})
	changes := len(m.byCause) != before
	m.mu.Unlock()
	if changes {
		m.changed()
	}
}

// All returns the complaints that stand, each once, in the order of the mirrors.
func (m *Memory) All() (all []Complaint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, known := range m.byCause {
		if time.Now().Before(known.until) {
			all = append(all, known.Complaint)
		}
	}
	slices.SortFunc(all, func(a, b Complaint) int {
		return cmp.Or(cmp.Compare(a.Mirror, b.Mirror), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(all)
}
