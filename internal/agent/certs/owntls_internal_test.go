// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
)

// certificate returns a new certificate and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func TestTLSSettingsAreReadWhereCRIOLooksForThem(t *testing.T) {
	cert, key := certificate(t)
	const folder = ondisk.OwnTLSDir + "/m.com:5000/"
	for _, c := range []struct {
		name    string
		files   sinktest.Files
		clients int
		roots   bool
		want    string
	}{
		{"nothing", nil, 0, false, ""},
		{"another registry", sinktest.Files{ondisk.OwnTLSDir + "/m.com/ca.crt": cert}, 0, false, ""},
		{"only a key", sinktest.Files{folder + "x.key": key}, 0, false, ""},
		{"an authority", sinktest.Files{folder + "ca.crt": cert}, 0, true, ""},
		{"a client certificate", sinktest.Files{folder + "x.cert": cert, folder + "x.key": key}, 1, false, ""},
		{"a client certificate with the key in it", sinktest.Files{folder + "x.cert": cert + key}, 1, false, ""},
		{"all", sinktest.Files{folder + "ca.crt": cert, folder + "x.cert": cert, folder + "x.key": key, folder + "y.cert": cert + key}, 2, true, ""},
		{"no certificate", sinktest.Files{folder + "ca.crt": "?"}, 0, false, "has no certificate"},
		{"another key", sinktest.Files{folder + "x.cert": cert, folder + "x.key": func() string { _, other := certificate(t); return other }()}, 0, false, "private key does not match"},
	} {
		n, _, _ := newHost(t, c.files)
		config, err := n.tls.config("m.com:5000")
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v", c.name, err)
			}
			continue
		}
		if err != nil || (config != nil) != (c.clients > 0 || c.roots) || n.tls.has("m.com:5000") != (config != nil) {
			t.Errorf("%s: got %v, error %v", c.name, config, err)
			continue
		}
		if config != nil && (len(config.Certificates) != c.clients || (config.RootCAs != nil) != c.roots) {
			t.Errorf("%s: got %d clients, roots %v", c.name, len(config.Certificates), config.RootCAs)
		}
	}
	n, root, _ := newHost(t, sinktest.Files{"etc/pki/corp.pem": cert})
	sinktest.Symlink(t, "/etc/pki/corp.pem", root, folder+"ca.crt")
	if config, err := n.tls.config("m.com:5000"); err != nil || config == nil {
		t.Errorf("through a link: got %v, error %v", config, err)
	}
}
