// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/x509"
	"net"
	"testing"
	"time"
)

func TestCertificatesThatAreVerifiedOnceAreGoodForTheSameAgain(t *testing.T) {
	corp, other := newAuthority(t), newAuthority(t)
	issue := func(by *authority, until time.Time) []*x509.Certificate {
		leaf := *by.certificate
		leaf.IsCA, leaf.IPAddresses, leaf.NotAfter, leaf.PublicKey = false, []net.IP{net.IPv4(127, 0, 0, 1)}, until, nil
		signed, _ := by.sign(t, &leaf)
		return []*x509.Certificate{signed}
	}
	roots, none := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(corp.certificate)
	good, bad := issue(corp, time.Now().Add(time.Hour)), issue(other, time.Now().Add(time.Hour))
	m := verified{byHost: make(map[string]taken)}
	for range 2 {
		if err := m.verify("127.0.0.1", good, roots); err != nil {
			t.Error(err)
		}
	}
	if until := m.byHost["127.0.0.1"].until; !until.Equal(good[0].NotAfter) {
		t.Errorf("it is good until %s, want %s", until, good[0].NotAfter)
	}
	for name, c := range map[string]struct {
		host  string
		shown []*x509.Certificate
		roots *x509.CertPool
	}{
		"another certificate": {"127.0.0.1", bad, roots},
		"one more":            {"127.0.0.1", append(bad, good...), roots},
		"another host":        {"127.0.0.2", good, roots},
		"other roots":         {"127.0.0.1", good, none},
	} {
		if err := m.verify(c.host, c.shown, c.roots); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	expired := issue(corp, time.Now().Add(-time.Minute))
	m.byHost["127.0.0.1"] = taken{expired, roots, time.Now().Add(time.Minute)}
	if err := m.verify("127.0.0.1", expired, roots); err != nil {
		t.Errorf("what was taken a moment ago is verified again: %v", err)
	}
	m.byHost["127.0.0.1"] = taken{expired, roots, expired[0].NotAfter}
	if err := m.verify("127.0.0.1", expired, roots); err == nil {
		t.Error("what has expired since is taken")
	}
	for range 3 * maxVerdicts {
		m.byHost[time.Now().String()] = taken{}
	}
	if err := m.verify("127.0.0.1", good, roots); err != nil || len(m.byHost) > maxVerdicts {
		t.Errorf("%d are remembered, error %v", len(m.byHost), err)
	}
}
