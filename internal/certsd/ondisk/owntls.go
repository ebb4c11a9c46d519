// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package ondisk

import (
	"path"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/grants/onhost"
	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// OwnTLSDir has one folder per registry, with certificates by their names as in Docker's folders. CRI-O and Podman look here.
const OwnTLSDir = onhost.CertsDir

// OwnTLS returns the names of the node's own certificates for a registry there, without the file that Mirrorset writes for a mirror's authority (G3).
// A mirror with such certificates is reached through the redirector, because containerd does not look here (N4).
func OwnTLS(host *hostfile.Host, registry string) (names []string) {
	return slices.DeleteFunc(certificates(host, registry), func(name string) bool { return name == onhost.CertFile })
}

// HasTLS reports if there are certificates for a registry there, no matter who wrote them.
func HasTLS(host *hostfile.Host, registry string) bool {
	return len(certificates(host, registry)) > 0
}

func certificates(host *hostfile.Host, registry string) (names []string) {
	entries, err := hostfile.ReadDir(host.FS(), hostfile.Follow(host.FS(), path.Join(OwnTLSDir, registry)))
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".crt") || strings.HasSuffix(entry.Name(), ".cert") {
			names = append(names, entry.Name())
		}
	}
	return names
}
