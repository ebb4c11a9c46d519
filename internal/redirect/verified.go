// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/x509"
	"slices"
	"sync"
	"time"
)

// verified remembers the certificates that the node accepts, so that the certificates in each answer of a mirror are verified once.
type verified struct {
	mu     sync.Mutex
	byHost map[string]taken
}

// taken are the certificates that a host showed and that roots accept, until the first of them expires.
type taken struct {
	certificates []*x509.Certificate
	roots        *x509.CertPool
	until        time.Time
}

// verify returns the problem with the certificates that a host shows, its own first.
func (m *verified) verify(host string, shown []*x509.Certificate, roots *x509.CertPool) error {
	m.mu.Lock()
	known := m.byHost[host]
	m.mu.Unlock()
	if known.roots == roots && time.Now().Before(known.until) && slices.EqualFunc(known.certificates, shown, (*x509.Certificate).Equal) {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between})
	if err != nil {
		return err
	}
	until := shown[0].NotAfter
	for _, c := range chains[0] {
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.byHost) >= maxVerdicts {
		clear(m.byHost)
	}
	m.byHost[host] = taken{shown, roots, until}
	return nil
}
