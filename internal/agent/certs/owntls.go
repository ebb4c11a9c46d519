// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/mirrorset/mirrorset/internal/certsd/ondisk"
	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// maxCertificates bounds a file of certificates or keys, in bytes.
const maxCertificates = 1 << 20

// ownTLS are a host's own TLS settings for registries, where CRI-O looks for them.
type ownTLS struct {
	host  *hostfile.Host
	roots *roots
}

// has reports whether there are settings for a registry.
func (o ownTLS) has(registry string) bool {
	return len(ondisk.OwnTLS(o.host, registry)) > 0
}

// config returns these settings; nil where there are none.
func (o ownTLS) config(registry string) (*tls.Config, error) {
	names := ondisk.OwnTLS(o.host, registry)
	if len(names) == 0 {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	folder := hostfile.Follow(o.host.FS(), path.Join(ondisk.OwnTLSDir, registry))
	read := func(name string) ([]byte, error) {
		return o.host.ReadRegular(hostfile.Follow(o.host.FS(), path.Join(folder, name)), maxCertificates)
	}
	for _, name := range names {
		content, err := read(name)
		if err != nil {
			return nil, err
		}
		base, isClient := strings.CutSuffix(name, ".cert")
		if !isClient {
			if config.RootCAs == nil {
				config.RootCAs = o.roots.trusted().Clone()
			}
			if !config.RootCAs.AppendCertsFromPEM(content) {
				return nil, fmt.Errorf("/%s has no certificate", path.Join(folder, name))
			}
			continue
		}
		key, err := read(base + ".key")
		if errors.Is(err, fs.ErrNotExist) {
			key, err = content, nil
		}
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(content, key)
		if err != nil {
			return nil, fmt.Errorf("/%s: %w", path.Join(folder, name), err)
		}
		config.Certificates = append(config.Certificates, pair)
	}
	return config, nil
}
