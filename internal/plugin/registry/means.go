// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/x509"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/mirrorset/mirrorset/internal/grants"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// means are what registries are asked with, and the words for a registry that does not take them. A repository is host[:port]/path.
type means interface {
	login(ctx context.Context, repository string) (authn.AuthConfig, error)
	// roots are the authorities that may have signed the registry's certificate; nil for those of the system.
	roots(repository string) *x509.CertPool
	// refused says what a registry does that answers 401 or 403.
	refused(repository string) string
	// distrusted says what to do where none of the roots has signed; "" for nothing.
	distrusted(repository string) string
	// keepsQuiet reports whether the registry's words are not shown, because they could repeat a login.
	keepsQuiet(repository string) bool
}

// own are those of the user who runs the command.
type own struct {
	*credentials
	trusted *x509.CertPool
}

func (o own) login(ctx context.Context, repository string) (authn.AuthConfig, error) {
	return o.of(ctx, repository)
}

func (o own) roots(string) *x509.CertPool { return o.trusted }

func (o own) refused(string) string { return "it refuses the credentials " + o.whence() }

func (own) distrusted(string) string { return "" }

func (own) keepsQuiet(string) bool { return false }

// granted are those that the nodes of a cluster have for mirrors (docs/reference/semantics.md G4).
type granted struct{ grants.Grants }

func (g granted) login(_ context.Context, repository string) (authn.AuthConfig, error) {
	l, _ := g.Login(mirrors.Scope(repository))
	return authn.AuthConfig{Username: l.Username, Password: l.Password, IdentityToken: l.IdentityToken, RegistryToken: l.RegistryToken}, nil
}

func (g granted) roots(repository string) *x509.CertPool {
	pem := g.Authority(mirrors.Scope(repository).Host())
	if pem == nil {
		return nil
	}
	roots := systemRoots()
	roots.AppendCertsFromPEM(pem)
	return roots
}

func (g granted) refused(repository string) string {
	if key := g.Key(mirrors.Scope(repository)); key != "" {
		return "it refuses the login in Secret " + grants.CredentialsName + ` under the key "` + string(key) + `"`
	}
	return "it requires a login, and Secret " + grants.CredentialsName + ` has none for it; add one under the key "` + mirrors.Scope(repository).Host() + `"`
}

func (g granted) distrusted(repository string) string {
	host := mirrors.Scope(repository).Host()
	key := `"` + grants.AuthorityKey(host) + `"`
	if g.Authority(host) != nil {
		return "its certificate is signed neither by an authority of the system nor by one in ConfigMap " + grants.AuthoritiesName + " under the key " + key
	}
	return "put the certificate of its authority into ConfigMap " + grants.AuthoritiesName + " under the key " + key
}

func (g granted) keepsQuiet(repository string) bool {
	return g.Key(mirrors.Scope(repository)) != ""
}

// nothing is what nodes ask a source with.
type nothing struct{}

func (nothing) login(context.Context, string) (authn.AuthConfig, error) {
	return authn.AuthConfig{}, nil
}

func (nothing) roots(string) *x509.CertPool { return nil }

func (nothing) refused(string) string {
	return "it is a source, so it was contacted without a login; the pull secret of a Pod may have one"
}

func (nothing) distrusted(string) string {
	return "it is a source, so nodes do not use ConfigMap " + grants.AuthoritiesName + " for it; the system of each node must trust its certificate"
}

func (nothing) keepsQuiet(string) bool { return false }
