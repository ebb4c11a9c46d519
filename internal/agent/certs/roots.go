// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/x509"
	"io/fs"
	"path"
	"sync"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// rootsDir has the authorities that a host trusts, on every known distribution: one or more bundles, or otherwise one file per authority.
const rootsDir = "etc/ssl/certs"

// rootBundles are the files with all authorities. The first one that exists counts. They are the files of Debian, of Fedora and its kin, where the
// file above is a link, and of others.
var rootBundles = []string{
	rootsDir + "/ca-certificates.crt",
	"etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	rootsDir + "/ca-bundle.crt",
}

// roots are the authorities that the host trusts, as containerd does: an agent's image has none of its own.
type roots struct {
	host *hostfile.Host

	mu   sync.Mutex
	read fs.FileInfo // what the pool is from
	pool *x509.CertPool
}

// trusted returns the pool, which nobody may change.
func (r *roots) trusted() *x509.CertPool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, bundle := range rootBundles {
		name := hostfile.Follow(r.host.FS(), bundle)
		now, err := r.host.Lstat(name)
		if err != nil {
			continue
		}
		if r.read != nil && hostfile.SameFile(r.read, now) {
			return r.pool
		}
		pool := x509.NewCertPool()
		if text, err := r.host.ReadRegular(name, maxCertificates); err == nil && pool.AppendCertsFromPEM(text) {
			r.read, r.pool = now, pool
			return pool
		}
	}
	return r.oneByOne()
}

// oneByOne reads a folder in which each authority has a file.
func (r *roots) oneByOne() *x509.CertPool {
	now, err := r.host.Lstat(rootsDir)
	if err == nil && r.read != nil && hostfile.SameFile(r.read, now) {
		return r.pool
	}
	if err != nil && r.read == nil && r.pool != nil {
		return r.pool
	}
	r.read, r.pool = now, x509.NewCertPool()
	entries, _ := hostfile.ReadDir(r.host.FS(), rootsDir) // a host without any trusts nobody
	for _, entry := range entries {
		if text, err := r.host.ReadRegular(hostfile.Follow(r.host.FS(), path.Join(rootsDir, entry.Name())), maxCertificates); err == nil {
			r.pool.AppendCertsFromPEM(text) // what has none is no certificate
		}
	}
	return r.pool
}
