// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package complaints remembers the faults of streamed mirrors that an administrator can fix (N4 of docs/reference/semantics.md). Such a fault is a
// login that the mirror refuses or requires, a login that cannot be sent, or a certificate that is not accepted. A complaint stays until an answer
// shows that the fault is gone, the login or the authority changes, or no rule names the mirror any more. A complaint that nothing renews ends after
// a day, or after an hour if it is about a single repository.
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

// Complaint is a fault of a mirror that an administrator can fix. It holds no secret.
type Complaint struct {
	// Mirror is the registry, or the place that the login is for.
	Mirror string
	Kind   Kind
	// Message describes what happened, and Remedy what to do.
	Message, Remedy string
}

const (
	// maxComplaints bounds the complaints.
	maxComplaints = 64
	// stale is how long a complaint stays that nothing renews. staleOfOne is that time for a single repository, because perhaps nobody needs that
	// repository.
	stale      = 24 * time.Hour
	staleOfOne = time.Hour
	// settled is how long a complaint keeps its text.
	settled = time.Minute
)

// complaint is a complaint with the facts that it depends on.
type complaint struct {
	Complaint
	of        mirrors.Scope // the repository that it came up at
	login     grants.Login
	authority string
	until     time.Time
	since     time.Time // it has had these words
}

// cause identifies a complaint.
type cause struct {
	mirror string
	// ofCertificate is true for a complaint about a certificate, where only the latest complaint counts. It is false for a complaint about a login.
	ofCertificate bool
	// of is the repository, and object the content requested there. Only a good answer for that object ends the complaint. Both are "" if the login,
	// or the certificate, is good for no repository.
	of     mirrors.Scope
	object string
}

func (k Kind) isOfCertificate() bool {
	return k == CertificateExpired || k == AuthorityUnknown || k == CertificateName
}

// Answer is how a mirror answered.
type Answer struct {
	// Mirror is its repository, and Object the content requested there, as in manifests/latest.
	Mirror mirrors.Scope
	Object string
	// Login is the login for the repository, and Key the place that it is for; both are empty without a login.
	Login grants.Login
	Key   mirrors.Scope
	// Err is an error of package upstream; nil if the mirror answered well.
	Err error
}

// Memory remembers the complaints about all mirrors, under the current rules and grants.
type Memory struct {
	changed func()

	mu      sync.Mutex
	granted grants.Grants
	byCause map[cause]complaint
}

// New returns a memory that calls the function when the complaints change.
func New(changed func()) *Memory {
	return &Memory{changed: changed, byCause: make(map[cause]complaint)}
}

// Note records how a mirror answered. It ignores an answer to a login that has been replaced since.
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

// end forgets complaints, and reports if it found any. The caller holds the lock.
func (m *Memory) end(which func(cause) bool) bool {
	before := len(m.byCause)
	maps.DeleteFunc(m.byCause, func(by cause, _ complaint) bool { return which(by) })
	return len(m.byCause) != before
}

// add reports if a complaint is new. A complaint whose text changes all the time keeps the same text for a while. The caller holds the lock.
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

// makeRoom forgets the complaint that ends next. The caller holds the lock.
func (m *Memory) makeRoom() {
	var next cause
	for by, known := range m.byCause {
		if first, ok := m.byCause[next]; !ok || known.until.Before(first.until) {
			next = by
		}
	}
	delete(m.byCause, next)
}

// Keep makes these rules and grants the current ones. It forgets complaints about logins and authorities that have changed, and about mirrors that no
// rule names any more.
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

// All returns the current complaints, each once, in the order of the mirrors.
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
