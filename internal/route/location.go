// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"regexp"
	"strings"
)

// Docker Hub's name in references, and as a registry.
const (
	dockerHub         = "docker.io"
	dockerHubRegistry = "registry-1.docker.io"
)

// Registry returns the host to connect to for one in a reference.
func Registry(host string) string {
	if host == dockerHub {
		return dockerHubRegistry
	}
	return host
}

// Aliases returns the location and, on Docker Hub, what it is by the other name.
func Aliases(location string) []string {
	host, path := SplitPath(location)
	switch host {
	case dockerHub:
		return []string{location, dockerHubRegistry + path}
	case dockerHubRegistry:
		return []string{location, dockerHub + path}
	}
	return []string{location}
}

// SplitPath cuts a location into its host and its path, which keeps its slash.
func SplitPath(location string) (host, path string) {
	host, _, _ = strings.Cut(location, "/")
	return host, location[len(host):]
}

var loopback = regexp.MustCompile(`^(?:localhost|127(?:\.[0-9]{1,3}){3})(?::[0-9]+)?$`)

// IsLoopback tells whether the host is this very machine, where containerd by itself asks for no certificate and falls back
// to plain HTTP. A rule with mirrors must not put an end to that for the source.
func IsLoopback(host string) bool {
	return loopback.MatchString(host)
}
