// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/grants"
)

// authority is the certificate authority of a company.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{certificate: &x509.Certificate{
		Subject: pkix.Name{CommonName: "corp"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		SerialNumber: big.NewInt(1), NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
	}}
	a.certificate, a.key = a.sign(t, a.certificate)
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
	return a
}

func (a *authority) sign(t testing.TB, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// serves makes a registry at an address show a certificate that is valid until the given time.
func (a *authority) serves(t testing.TB, address string, until time.Time) func(*tls.Config) {
	t.Helper()
	certificate, key := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: until, IPAddresses: []net.IP{net.ParseIP(address)},
	})
	return func(c *tls.Config) {
		c.Certificates = []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}
	}
}

// start starts a registry with a certificate of the authority.
func (a *authority) start(t testing.TB, answer http.HandlerFunc) *registryAt {
	t.Helper()
	return startRegistry(t, false, answer, a.serves(t, "127.0.0.1", time.Now().Add(time.Hour)))
}

// login is an entry of the Secret.
type login map[string]string

func password(user, secret string) login {
	return login{"username": user, "password": secret}
}

// grant returns grants with logins by their key, and the authority for each of the registries.
func grant(t testing.TB, logins map[string]login, a *authority, registries ...*registryAt) grants.Grants {
	t.Helper()
	if logins == nil {
		logins = make(map[string]login)
	}
	text, err := json.Marshal(map[string]any{"auths": logins})
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: text}}
	authorities := &corev1.ConfigMap{Data: make(map[string]string)}
	for _, r := range registries {
		authorities.Data[strings.Replace(r.host, ":", "..", 1)] = a.pem
	}
	g, problems := grants.Read(secret, authorities, grants.Grants{}, time.Now())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return g
}

// newGranted returns a redirector with rules and grants.
func newGranted(t testing.TB, sets string, g grants.Grants, insecure ...string) *Server {
	t.Helper()
	s := newServer(t, sets, insecure...)
	regrant(s, g)
	return s
}

// newComplaining returns a redirector with rules and grants, and a count of how often it reported a change of its complaints.
func newComplaining(t *testing.T, sets string, g grants.Grants) (*Server, *atomic.Int32) {
	t.Helper()
	var changes atomic.Int32
	config := wired(Config{Log: logr.Discard()})
	config.Complained = func() { changes.Add(1) }
	s := New(config)
	setRules(t, s, sets)
	regrant(s, g)
	return s, &changes
}

// regrant gives the redirector other grants.
func regrant(s *Server, g grants.Grants) {
	rules := *s.rules.Load()
	rules.Grants = g
	s.SetRules(rules)
}

// basic lets in a client with the password, and has the manifest, and a blob, below m.
func basic(user, secret string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != user || p != secret {
			w.Header().Set("WWW-Authenticate", `Basic realm="corp"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		content(w, r)
	}
}

// layer is the blob that mirrors have.
var layer = bytes.Repeat([]byte("0123456789abcdef"), 100_000)

func content(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/manifests/") {
		has(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(layer))
}

// tokens is a token server that gives tokens for one repository of its registry and refuses any other scope.
type tokens struct {
	*registryAt
	repository string
	// user and secret, or identity, are the credentials that it accepts.
	user, secret, identity string
	// seconds is the lifetime of a token that the server states.
	seconds int

	mu    sync.Mutex
	given []string
}

func (s *tokens) issue(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	u, p, _ := r.BasicAuth()
	isKnown := r.Method == http.MethodGet && s.user != "" && u == s.user && p == s.secret || r.Method == http.MethodGet && s.user == "" && s.identity == "" && u == ""
	isKnown = isKnown || r.Method == http.MethodPost && s.identity != "" && r.PostForm.Get("refresh_token") == s.identity && r.PostForm.Get("grant_type") == "refresh_token"
	if !isKnown {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if !slices.Equal(r.Form["scope"], []string{"repository:" + s.repository + ":pull"}) || r.Form.Get("service") != "corp" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = append(s.given, fmt.Sprintf("token%d", len(s.given)))
	_ = json.NewEncoder(w).Encode(map[string]any{"token": s.last(), "access_token": s.last(), "expires_in": s.seconds})
}

// last is the only valid token. The caller holds the lock.
func (s *tokens) last() string {
	return s.given[len(s.given)-1]
}

// revoke makes the last token invalid.
func (s *tokens) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = append(s.given, "nobody has this")
}

func (s *tokens) isGood(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.given) > 0 && r.Header.Get("Authorization") == "Bearer "+s.last()
}

// guards returns a registry that requires one of the tokens. Its challenge asks for more rights than a client should request.
func (s *tokens) guards() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.isGood(r) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="corp",scope="repository:x/y:pull,push registry:catalog:*"`, s.URL+"/token?scope=repository:all:*"))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		content(w, r)
	}
}

// sent returns the values of a header in all requests, "" for those without it.
func (r *registryAt) sent(header string) (values []string) {
	for _, req := range r.requests() {
		values = append(values, req.Header.Get(header))
	}
	return values
}

// blobPath is the path of the layer at a rank.
func blobPath(rank, repository string) string {
	return strings.Replace(pathTo(rank, "s.com", repository, manifestDigest), manifests, blobs, 1)
}

// secretsIn returns the secrets that a text contains.
func secretsIn(text string, secrets ...string) (found []string) {
	for _, secret := range secrets {
		if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
			found = append(found, secret)
		}
	}
	return found
}
