// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
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
	// stale is how long a complaint stays that nothing renews.
	stale = 24 * time.Hour
)

// complaint is one with what ends it.
type complaint struct {
	Complaint
	// of is the repository that it came up at. Only that one ends it, unless the login, or the certificate, is no good for any.
	of         mirrors.Scope
	everywhere bool
	login      grants.Login
	until      time.Time
}

// complaints are those of all mirrors: the last one about each registry, and about the login for each place.
type complaints struct {
	changed func()

	mu      sync.Mutex
	byPlace map[string]complaint
}

// note takes note of how a mirror answered; err is nil where it did so well.
func (c *complaints) note(mirror route.Target, how *access, err error) {
	found, isComplaint := complaintAbout(mirror.Host, string(how.key), err)
	if err != nil && !isComplaint {
		return // which says nothing about the login or the certificate
	}
	found.of, found.login, found.until = mirrors.Scope(name(mirror)), how.login, time.Now().Add(stale)
	c.mu.Lock()
	changes := false
	if isComplaint {
		changes = c.add(found)
	} else {
		before := len(c.byPlace)
		maps.DeleteFunc(c.byPlace, func(place string, known complaint) bool {
			return (place == mirror.Host || place == string(how.key)) && (known.everywhere || known.of == found.of)
		})
		changes = len(c.byPlace) != before
	}
	c.mu.Unlock()
	if changes {
		c.changed()
	}
}

// add returns whether a complaint says anything new. The lock is held.
func (c *complaints) add(found complaint) (isNew bool) {
	known := c.byPlace[found.Mirror]
	if known.Kind == found.Kind && known.everywhere == found.everywhere {
		found.Complaint = known.Complaint // it would say the same in other words
	} else if len(c.byPlace) >= maxComplaints {
		c.makeRoom()
	}
	c.byPlace[found.Mirror] = found
	return known.Complaint != found.Complaint
}

// makeRoom forgets what is stale, and all else where that does not suffice. The lock is held.
func (c *complaints) makeRoom() {
	maps.DeleteFunc(c.byPlace, func(_ string, known complaint) bool { return time.Now().After(known.until) })
	if len(c.byPlace) >= maxComplaints {
		clear(c.byPlace)
	}
}

// keep forgets complaints about logins that are others by now, and about mirrors that no rule names any more.
func (c *complaints) keep(granted grants.Grants, router *route.Router) {
	c.mu.Lock()
	before := len(c.byPlace)
	maps.DeleteFunc(c.byPlace, func(_ string, known complaint) bool {
		login, _ := granted.Login(known.of)
		return login != known.login || !router.HasMirror(known.of)
	})
	changes := len(c.byPlace) != before
	c.mu.Unlock()
	if changes {
		c.changed()
	}
}

// all returns the complaints that stand, in the order of the mirrors.
func (c *complaints) all() (all []Complaint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, place := range slices.Sorted(maps.Keys(c.byPlace)) {
		if known := c.byPlace[place]; time.Now().Before(known.until) {
			all = append(all, known.Complaint)
		}
	}
	return all
}

// complaintAbout says what there is to put right where a mirror answered with an error. The key is that of the login; "" for none.
func complaintAbout(host, key string, err error) (found complaint, ok bool) {
	var refused *upstream.Refused
	var untrusted *upstream.Untrusted
	switch {
	case errors.As(err, &refused) && refused.Unsent != "":
		found.Complaint = Complaint{key, LoginRefused, fmt.Sprintf("mirror %s answered %s, and was not sent the login of Secret %s, key %s: %s", host, refused.Status, grants.CredentialsName, key, refused.Unsent), remedyForUnsent(key, refused.Unsent)}
	case errors.As(err, &refused) && refused.HadLogin:
		found.Complaint = Complaint{key, LoginRefused, fmt.Sprintf("mirror %s refuses the login of Secret %s, key %s, with %s", host, grants.CredentialsName, key, refused.Status), remedyForLogin(key)}
		if refused.By != host {
			found.Message += " from its token server " + refused.By
		}
		found.everywhere = refused.Everywhere
	case errors.As(err, &refused) && strings.HasPrefix(refused.Status, "401 "):
		found.Complaint = Complaint{host, LoginNeeded, fmt.Sprintf("mirror %s wants a login, and Secret %s has none for it", host, grants.CredentialsName), remedyForLogin(host)}
	case errors.As(err, &untrusted):
		found.Complaint, found.everywhere = complaintAboutCertificate(host, untrusted), true
	default:
		return found, false
	}
	return found, true
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
