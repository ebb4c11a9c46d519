// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package ondisk

import (
	"path"
	"strings"

	"github.com/mirrorset/mirrorset/internal/hostfile"
)

// OwnTLSDir has a folder a registry, with certificates by their names as in Docker's folders. CRI-O and Podman look here.
const OwnTLSDir = "etc/containers/certs.d"

// OwnTLS returns the names of a registry's certificates there. A mirror that has any is reached through the redirector, because
// containerd does not look here (N4).
func OwnTLS(host *hostfile.Host, registry string) (names []string) {
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
