// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
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

// complaints are those about all mirrors, under the rules and grants of the moment.
type complaints struct {
	changed func()

	mu      sync.Mutex
	granted grants.Grants
	byCause map[cause]complaint
}

// note takes note of how a mirror answered; err is nil where it did so well. What a login that is another one by now came to says nothing.
func (c *complaints) note(q question, mirror route.Target, how *access, err error) {
	of := mirrors.Scope(name(mirror))
	found, everywhere, isComplaint := complaintAbout(of, string(how.key), err)
	if err != nil && !isComplaint {
		return // which says nothing about the login or the certificate
	}
	c.mu.Lock()
	changes := false
	switch login, _ := c.granted.Login(of); {
	case login != how.login:
	case isComplaint:
		changes = c.add(q.kind+"/"+q.object, everywhere, complaint{Complaint: found, of: of, login: login, authority: string(c.granted.Authority(mirror.Host))})
		if !found.Kind.isOfCertificate() { // it has answered, so its certificate is good
			changes = c.end(func(by cause) bool { return by.mirror == mirror.Host && by.ofCertificate && by.of == "" }) || changes
		}
	default:
		changes = c.end(func(by cause) bool {
			return (by.mirror == mirror.Host || by.mirror == string(how.key)) && (by.of == "" || by.of == of && by.object == q.kind+"/"+q.object)
		})
	}
	c.mu.Unlock()
	if changes {
		c.changed()
	}
}

// end forgets complaints, and returns whether there were any. The lock is held.
func (c *complaints) end(which func(cause) bool) bool {
	before := len(c.byCause)
	maps.DeleteFunc(c.byCause, func(by cause, _ complaint) bool { return which(by) })
	return len(c.byCause) != before
}

// add returns whether a complaint says anything new. One that is said in other words all the time has the same words for a while. The lock is
// held.
func (c *complaints) add(object string, everywhere bool, found complaint) (isNew bool) {
	now := time.Now()
	by := cause{found.Mirror, found.Kind.isOfCertificate(), found.of, object}
	found.until, found.since = now.Add(staleOfOne), now
	if everywhere {
		by.of, by.object, found.until = "", "", now.Add(stale)
	}
	known, isKnown := c.byCause[by]
	switch isKnown = isKnown && now.Before(known.until); {
	case isKnown && (known.Complaint == found.Complaint || known.Kind == found.Kind && now.Sub(known.since) < settled):
		found.Complaint, found.since = known.Complaint, known.since
	case len(c.byCause) >= maxComplaints:
		c.makeRoom()
	}
	c.byCause[by] = found
	return !isKnown || known.Complaint != found.Complaint
}

// makeRoom forgets the complaint that ends next. The lock is held.
func (c *complaints) makeRoom() {
	var next cause
	for by, known := range c.byCause {
		if first, ok := c.byCause[next]; !ok || known.until.Before(first.until) {
			next = by
		}
	}
	delete(c.byCause, next)
}

// keep forgets complaints about logins and authorities that are others by now, and about mirrors that no rule names any more.
func (c *complaints) keep(granted grants.Grants, router *route.Router) {
	c.mu.Lock()
	c.granted = granted
	before := len(c.byCause)
	maps.DeleteFunc(c.byCause, func(_ cause, known complaint) bool {
		login, _ := granted.Login(known.of)
		isNew := login != known.login
		if known.Kind.isOfCertificate() {
			isNew = string(granted.Authority(known.of.Host())) != known.authority
		}
		return isNew || !router.HasMirror(known.of)
	})
	changes := len(c.byCause) != before
	c.mu.Unlock()
	if changes {
		c.changed()
	}
}

// all returns the complaints that stand, each once, in the order of the mirrors.
func (c *complaints) all() (all []Complaint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range c.byCause {
		if time.Now().Before(known.until) {
			all = append(all, known.Complaint)
		}
	}
	slices.SortFunc(all, func(a, b Complaint) int {
		return cmp.Or(cmp.Compare(a.Mirror, b.Mirror), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(all)
}

// complaintAbout says what there is to put right where a mirror's repository answered with an error, and whether that goes for all repositories.
// The key is that of the login; "" for none.
func complaintAbout(of mirrors.Scope, key string, err error) (found Complaint, everywhere, ok bool) {
	host := of.Host()
	var refused *upstream.Refused
	var untrusted *upstream.Untrusted
	switch {
	case errors.As(err, &refused) && refused.Unsent != "":
		message := fmt.Sprintf("mirror %s answered %s, and was not sent the login of Secret %s, key %s: %s", host, refused.Status, grants.CredentialsName, key, refused.Unsent)
		return Complaint{key, LoginRefused, message, remedyForUnsent(key, refused.Unsent)}, false, true
	case errors.As(err, &refused) && refused.HadLogin:
		message := fmt.Sprintf("mirror %s refuses the login of Secret %s, key %s, with %s", host, grants.CredentialsName, key, refused.Status)
		if refused.By != host {
			message += " from its token server " + refused.By
		}
		if refused.Everywhere {
			return Complaint{key, LoginRefused, message, remedyForLogin(key)}, true, true
		}
		return Complaint{key, LoginRefused, fmt.Sprintf("%s, for repository %s", message, of), "if that repository is there, let the login pull from it; if all others are refused too, " + remedyForLogin(key)}, false, true
	case errors.As(err, &refused) && strings.HasPrefix(refused.Status, "401 "):
		return Complaint{host, LoginNeeded, fmt.Sprintf("mirror %s wants a login, and Secret %s has none for it", host, grants.CredentialsName), remedyForLogin(host)}, false, true
	case errors.As(err, &untrusted):
		return complaintAboutCertificate(host, untrusted), untrusted.Host == host, true // or that of where it sends on to for this one
	}
	return Complaint{}, false, false
}

func remedyForUnsent(key string, why upstream.Unsent) string {
	if why == upstream.NoPassword {
		return remedyForLogin(key)
	}
	return "have the mirror ask for a login with 401 Unauthorized and Basic or Bearer, or, where it takes none, remove that key"
}

func remedyForLogin(key string) string {
	return fmt.Sprintf("put a login that the mirror takes under key %[2]s of that Secret, in the manager's namespace. If it is the only one there: "+
		"kubectl -n NAMESPACE create secret docker-registry %[1]s --docker-server=%[2]s --docker-username=NAME --docker-password=PASSWORD --dry-run=client -o yaml | kubectl apply -f -", grants.CredentialsName, key)
}

func complaintAboutCertificate(host string, u *upstream.Untrusted) Complaint {
	message := fmt.Sprintf("mirror %s: %v", host, u)
	var expired x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(u, &unknown):
		return Complaint{host, AuthorityUnknown, message, fmt.Sprintf("put the authority's certificate under key %[2]s of ConfigMap %[1]s, in the manager's namespace. If it is the only one there: "+
			"kubectl -n NAMESPACE create configmap %[1]s --from-file=%[2]s=ca.crt --dry-run=client -o yaml | kubectl apply -f -", grants.AuthoritiesName, grants.AuthorityKey(host))}
	case errors.As(u, &expired):
		return Complaint{host, CertificateExpired, message, fmt.Sprintf("give %s a certificate that is good now", u.Host)}
	}
	return Complaint{host, CertificateName, message, fmt.Sprintf("give %s a certificate for that name", u.Host)}
}
