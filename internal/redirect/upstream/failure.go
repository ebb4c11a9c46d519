// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Refused is the error if a registry, or its token server, answered 401 or 403.
type Refused struct {
	// Status is the answer, as in 401 Unauthorized, and By the host that sent it.
	Status, By string
	// HadLogin is true if there is a login for the repository. Everywhere is true if the login is refused for all others, too.
	HadLogin, Everywhere bool
	// Unsent is why the login was not sent at all; "" if it was sent, or there is none.
	Unsent Unsent
}

// Unsent is a reason why a login is not sent, for people.
type Unsent string

// The reasons.
const (
	NotAsked   Unsent = "it did not ask for one with 401 Unauthorized and Basic or Bearer"
	NoPassword Unsent = "it requires a user name and a password, but the login is a token"
)

// Error is for people.
func (r *Refused) Error() string {
	switch {
	case r.Unsent != "":
		return fmt.Sprintf("%s answered %s, and was not sent the login: %s", r.By, r.Status, r.Unsent)
	case r.HadLogin:
		return fmt.Sprintf("it refuses the login that it was given: %s answered %s", r.By, r.Status)
	}
	return fmt.Sprintf("%s answered %s, and there is no login for it", r.By, r.Status)
}

// Untrusted is the error if the certificate of a host is not accepted.
type Untrusted struct {
	// Host has a port only if the URL had one.
	Host string
	// Err is an [x509.CertificateInvalidError] for an expired certificate, an [x509.UnknownAuthorityError] or an [x509.HostnameError].
	Err error
}

// Error is for people.
func (u *Untrusted) Error() string {
	var expired x509.CertificateInvalidError
	if errors.As(u.Err, &expired) {
		return fmt.Sprintf("the certificate of %s is good from %s to %s only", u.Host, expired.Cert.NotBefore.UTC().Format(time.DateOnly), expired.Cert.NotAfter.UTC().Format(time.DateOnly))
	}
	return fmt.Sprintf("the certificate of %s: %v", u.Host, u.Err)
}

// Unwrap returns the error of crypto/x509.
func (u *Untrusted) Unwrap() error { return u.Err }

// queries are the parts of URLs that can hold a signature.
var queries = regexp.MustCompile(`\?[^\s"]*`)

// shown returns an error in a form that may be shown: without the URLs around it, and without the queries of other URLs.
func shown(err error) error {
	var at *url.Error
	host := ""
	for inner := err; errors.As(inner, &at); inner = at.Err {
		err = at.Err
		if to, err := url.Parse(at.URL); err == nil {
			host = to.Host
		}
	}
	var expired x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		return &Untrusted{host, expired}
	case errors.As(err, &unknown):
		return &Untrusted{host, unknown}
	case errors.As(err, &name):
		return &Untrusted{host, name}
	case errors.Is(err, ErrAstray):
		return err
	}
	return errors.New(queries.ReplaceAllString(err.Error(), ""))
}

// join describes on one line why each way failed.
func join(failed []error) error {
	if len(failed) == 1 {
		return failed[0]
	}
	var texts []string
	for _, err := range failed {
		if errors.Is(err, ErrSilent) || errors.Is(err, ErrAstray) {
			return err
		}
		texts = append(texts, err.Error())
	}
	return errors.New(strings.ReplaceAll(strings.Join(texts, ", and "), "\n", ", and "))
}

// StatusText writes a status with the standard's words, because a registry's own words could contain anything.
func StatusText(code int) string {
	return fmt.Sprintf("%d %s", code, http.StatusText(code))
}
