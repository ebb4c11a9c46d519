// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/x509"
	"testing"

	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
)

func TestStreamedMirrorsAreTrustedAsTheHostTrusts(t *testing.T) {
	first, _ := certificate(t)
	second, _ := certificate(t)
	pool := func(certificates string) *x509.CertPool {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(certificates))
		return pool
	}
	for name, c := range map[string]struct {
		files sinktest.Files
		link  [2]string // target, name
		want  string
	}{
		"none":                   {},
		"a bundle":               {files: sinktest.Files{"etc/ssl/certs/ca-certificates.crt": first + second, "etc/ssl/certs/one.pem": "?"}, want: first + second},
		"a bundle behind a link": {files: sinktest.Files{"etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": first}, link: [2]string{"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "etc/ssl/certs/ca-bundle.crt"}, want: first},
		"a file for each":        {files: sinktest.Files{"etc/ssl/certs/one.pem": first, "etc/ssl/certs/two.pem": second, "etc/ssl/certs/README": "?"}, want: first + second},
		"a bundle with nothing":  {files: sinktest.Files{"etc/ssl/certs/ca-certificates.crt": "", "etc/ssl/certs/one.pem": first}, want: first},
	} {
		n, root, _ := newHost(t, c.files)
		if c.link[0] != "" {
			sinktest.Symlink(t, c.link[0], root, c.link[1])
		}
		first := n.tls.roots.trusted()
		if !first.Equal(pool(c.want)) {
			t.Errorf("%s: another pool", name)
		}
		if n.tls.roots.trusted() != first {
			t.Errorf("%s: the pool is read each time", name)
		}
	}
	n, root, _ := newHost(t, sinktest.Files{"etc/ssl/certs/ca-certificates.crt": first})
	n.tls.roots.trusted()
	sinktest.Write(t, root, "etc/ssl/certs/ca-certificates.crt", first+second)
	if !n.tls.roots.trusted().Equal(pool(first + second)) {
		t.Error("a new authority of the host is not seen")
	}
}
