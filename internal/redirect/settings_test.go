// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/x509"
	"testing"

	"github.com/mirrorset/mirrorset/internal/redirect/upstream"
	"github.com/mirrorset/mirrorset/internal/route"
)

func TestTLSSettingsAreTheSameUntilWhatTheyAreMadeOfChanges(t *testing.T) {
	corp, other := newAuthority(t), newAuthority(t)
	mirror := corp.start(t, content)
	at := route.Target{Host: mirror.host, Repository: "m"}
	trusted := x509.NewCertPool()
	s := newGranted(t, "a: s.com/x -> "+mirror.host+"/m", grant(t, nil, corp, mirror))
	s.relay.settings = upstream.NewSettings(func() *x509.CertPool { return trusted })
	of := func(t *testing.T, at route.Target, a *authority) *access {
		how, err := s.relay.accessTo(at, grant(t, nil, a, mirror))
		if err != nil || how == nil {
			t.Fatalf("access %v, error %v", how, err)
		}
		return how
	}
	first := of(t, at, corp)
	if of(t, at, corp).tls != first.tls {
		t.Error("they are made anew though nothing changed")
	}
	insecure := of(t, route.Target{Host: mirror.host, Insecure: true}, corp).tls
	if !insecure.InsecureSkipVerify || s.relay.settings.Of(false, nil).InsecureSkipVerify {
		t.Error("secure and insecure ones are taken for each other")
	}
	if s.relay.settings.Of(true, nil) != insecure {
		t.Error("an insecure source and an insecure mirror there do not have the same")
	}
	if rotated := of(t, at, other).tls; rotated.RootCAs.Equal(first.tls.RootCAs) {
		t.Error("another authority has no effect")
	}
	trusted = x509.NewCertPool()
	trusted.AddCert(other.certificate)
	if now := of(t, at, corp).tls; now.RootCAs.Equal(first.tls.RootCAs) {
		t.Error("other authorities of the node have no effect")
	}
}
