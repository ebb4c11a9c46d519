// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
)

// maxSettings bounds the kept TLS settings.
const maxSettings = 64

// trust is the authority that may sign a registry's certificate in addition to those that the node trusts.
type trust struct {
	insecure  bool   // by anybody
	authority string // PEM
}

// Settings are the TLS settings of registries without settings of the node's own. They are kept, because it would be expensive to build them for each
// request. Copying the node's authorities and reading another one would cost more than all other steps before the registry is contacted.
type Settings struct {
	roots func() *x509.CertPool

	mu   sync.Mutex
	last *x509.CertPool // the roots of those that are kept
	kept map[trust]*tls.Config
}

// NewSettings returns settings that trust the authorities of the node, which may change.
func NewSettings(roots func() *x509.CertPool) *Settings {
	return &Settings{roots: roots, kept: make(map[trust]*tls.Config)}
}

// Of returns the settings for a registry. Callers must not change them.
func (s *Settings) Of(insecure bool, authority []byte) *tls.Config {
	roots := s.roots()
	s.mu.Lock()
	defer s.mu.Unlock()
	if roots != s.last || len(s.kept) >= maxSettings {
		clear(s.kept)
		s.last = roots
	}
	if kept := s.kept[trust{insecure, string(authority)}]; kept != nil {
		return kept
	}
	made := Complete(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, insecure, authority)
	s.kept[trust{insecure, string(authority)}] = made
	return made
}

// Complete adds an authority to settings that verify certificates.
func Complete(own *tls.Config, insecure bool, authority []byte) *tls.Config {
	own.InsecureSkipVerify = insecure
	if authority != nil && !insecure {
		own.RootCAs = own.RootCAs.Clone()
		own.RootCAs.AppendCertsFromPEM(authority) // which was read before
	}
	return own
}
