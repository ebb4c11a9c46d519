// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"regexp"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Docker Hub's name in references, and as a registry.
const (
	dockerHub         = "docker.io"
	dockerHubRegistry = "registry-1.docker.io"
)

// Registry returns the host to connect to for a host in a reference.
func Registry(host string) string {
	if host == dockerHub {
		return dockerHubRegistry
	}
	return host
}

// Aliases returns the location and, on Docker Hub, the same location under the other name.
func Aliases(location mirrors.Scope) []mirrors.Scope {
	path := mirrors.Scope(location.Path())
	switch location.Host() {
	case dockerHub:
		return []mirrors.Scope{location, dockerHubRegistry + path}
	case dockerHubRegistry:
		return []mirrors.Scope{location, dockerHub + path}
	}
	return []mirrors.Scope{location}
}

var loopback = regexp.MustCompile(`^(?:localhost|127(?:\.[0-9]{1,3}){3})(?::[0-9]+)?$`)

// IsLoopback reports if the host is this very machine. For it, containerd accepts any certificate and falls back to plain HTTP by default. A rule
// with mirrors must keep this behavior for the source.
func IsLoopback(host string) bool {
	return loopback.MatchString(host)
}
