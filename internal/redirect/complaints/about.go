// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package complaints

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
)

// about describes the problem to fix if a mirror's repository answered with an error, and reports if all repositories have it. The key is that of the
// login; it is "" without one.
func about(of mirrors.Scope, key string, err error) (found Complaint, everywhere, ok bool) {
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
		return Complaint{key, LoginRefused, fmt.Sprintf("%s, for repository %s", message, of), "if that repository exists, allow the login to pull from it; if the mirror refuses all other repositories too, " + remedyForLogin(key)}, false, true
	case errors.As(err, &refused) && strings.HasPrefix(refused.Status, "401 "):
		return Complaint{host, LoginNeeded, fmt.Sprintf("mirror %s requires a login, but Secret %s has none for it", host, grants.CredentialsName), remedyForLogin(host)}, false, true
	case errors.As(err, &untrusted):
		return aboutCertificate(host, untrusted), untrusted.Host == host, true // or that of where it sends on to for this one
	}
	return Complaint{}, false, false
}

func remedyForUnsent(key string, why upstream.Unsent) string {
	if why == upstream.NoPassword {
		return remedyForLogin(key)
	}
	return "configure the mirror to ask for a login with 401 Unauthorized and Basic or Bearer; if the mirror needs no login, remove that key"
}

func remedyForLogin(key string) string {
	return fmt.Sprintf("put a login that the mirror accepts under key %[2]s of that Secret, in the manager's namespace. If it is the only login there: "+
		"kubectl -n NAMESPACE create secret docker-registry %[1]s --docker-server=%[2]s --docker-username=NAME --docker-password=PASSWORD --dry-run=client -o yaml | kubectl apply -f -", grants.CredentialsName, key)
}

func aboutCertificate(host string, u *upstream.Untrusted) Complaint {
	message := fmt.Sprintf("mirror %s: %v", host, u)
	var expired x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(u, &unknown):
		return Complaint{host, AuthorityUnknown, message, fmt.Sprintf("put the authority's certificate under key %[2]s of ConfigMap %[1]s, in the manager's namespace. If it is the only certificate there: "+
			"kubectl -n NAMESPACE create configmap %[1]s --from-file=%[2]s=ca.crt --dry-run=client -o yaml | kubectl apply -f -", grants.AuthoritiesName, grants.AuthorityKey(host))}
	case errors.As(u, &expired):
		return Complaint{host, CertificateExpired, message, fmt.Sprintf("give %s a certificate that is valid now", u.Host)}
	}
	return Complaint{host, CertificateName, message, fmt.Sprintf("give %s a certificate for that name", u.Host)}
}
