// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Private is a registry that requires a login, me with the password secret, and has a certificate of an authority of its own.
type Private struct {
	*Mirror
	// Name is the host to name it by; that of the Mirror is without TLS and login, to push to.
	Name string
	// Authority is the certificate of its authority in PEM.
	Authority string

	mu   sync.Mutex
	seen []string
}

// NewPrivate starts one without images.
func NewPrivate(t *testing.T) *Private {
	t.Helper()
	p := &Private{Mirror: NewMirror(t)}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, r.Header.Get("Authorization"))
		p.mu.Unlock()
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.Handler.ServeHTTP(w, r)
	}))
	var certificate tls.Certificate
	certificate, p.Authority = signed(t)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	server.StartTLS()
	t.Cleanup(server.Close)
	p.Name = strings.TrimPrefix(server.URL, "https://")
	return p
}

// Seen returns the Authorization headers of all requests so far, in order.
func (p *Private) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.seen...)
}

// signed makes a certificate for 127.0.0.1, and the one of its authority.
func signed(t *testing.T) (certificate tls.Certificate, authority string) {
	t.Helper()
	until := time.Now().Add(time.Hour)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "house CA"}, NotAfter: until, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}}
	caKey, leafKey := newKey(t), newKey(t)
	der := func(template, parent *x509.Certificate, of *ecdsa.PrivateKey) []byte {
		text, err := x509.CreateCertificate(rand.Reader, template, parent, &of.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der(ca, ca, caKey)}))
	return tls.Certificate{Certificate: [][]byte{der(leaf, ca, leafKey)}, PrivateKey: leafKey}, authority
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
