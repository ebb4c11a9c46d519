// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"strings"
)

// MaxNameLength is the longest name, host included, that the runtimes' reference parser takes: no image is in a longer source.
const MaxNameLength = 255

const (
	dockerHub = "docker.io"
	// officialImages is the namespace of the images that people write without one.
	officialImages = dockerHub + "/library"
)

// isHubNamespace reports whether a source is a namespace of Docker Hub. No image has a namespace as its name (L2a).
func isHubNamespace(source Scope) bool {
	return source.Host() == dockerHub && source.depth() == 1
}

// OfficialImage returns the image of Docker Hub that has the name of a namespace there, as docker.io/library/alpine for docker.io/alpine: it
// may be what a source was meant for (Q5). It is empty for other sources.
func OfficialImage(namespace Scope) Scope {
	if !isHubNamespace(namespace) || namespace == officialImages {
		return ""
	}
	return officialImages + Scope(namespace.Path())
}

// isShortName reports whether the runtimes read the host as the first component of a Docker Hub repository: a single label without a port,
// other than localhost.
func isShortName(host string) bool {
	return !strings.Contains(host, ".") && !strings.Contains(host, ":") && host != "localhost"
}

// isCanonical reports whether a name is its own canonical form. The name consists of locations that follow the grammar, joined by slashes.
// The consumer refuses to pull anything once a mirror rewrites the reference to a name that is not canonical.
func isCanonical(name Scope) bool {
	return len(name) <= MaxNameLength && areCanonical(name.Host(), name.depth())
}

// areCanonical reports whether all names of a registry with so many path components are canonical, if they are not too long.
func areCanonical(host string, depth int) bool {
	switch {
	case depth == 0, isShortName(host), host == "index.docker.io":
		return false
	case host == dockerHub:
		return depth > 1
	}
	return true
}

// poisons returns why no pull of the source can be rewritten to this mirror (E3), or "".
func poisons(source, mirror Scope) string {
	host := mirror.Host()
	shortest := len(mirror)
	if source.Path() == "" || mirror.Path() == "" {
		shortest += len("/x") // a reference has a path, if not from the mirror then from what is below the source
	}
	switch {
	case isShortName(host):
		return "its host is a single label, so runtimes read it as a repository of docker.io; give the host a domain or a port"
	case host == "index.docker.io":
		return "runtimes know this registry only as docker.io; write docker.io"
	case shortest > MaxNameLength:
		return fmt.Sprintf("every image name on it would be longer than the limit of %d characters; use a shorter mirror", MaxNameLength)
	}
	return ""
}

// The part of MaxNameLength that a mirror must leave for the rest of a reference.
const (
	// roomForNames is enough for hosts.toml to express the rule without counting characters.
	roomForNames = 128
	// roomForOne causes no finding. Hardly any repository has a longer name below its registry's name, and most sources with such a long
	// mirror are repositories themselves.
	roomForOne = 64
)

// invalidRewrites describes the references of the source that the mirror cannot serve (E3, Q3), or returns "".
func invalidRewrites(source, mirror Scope) string {
	switch {
	case source.Path() != "" && !isHubNamespace(source) && !isCanonical(mirror):
		return fmt.Sprintf("CRI-O and Podman fail every pull of the repository %s, because %s is not the name of a repository; if the source is a repository, give the mirror a longer path", quote(source), quote(mirror))
	case len(mirror)+len("/x") > MaxNameLength:
		return fmt.Sprintf("CRI-O and Podman fail every pull of an image below %s, because its name on the mirror would be longer than %d characters", quote(source), MaxNameLength)
	case !areCanonical(mirror.Host(), mirror.depth()+1):
		return fmt.Sprintf("CRI-O and Podman fail every pull of an image one component below %s, because they read docker.io/x as docker.io/library/x; if you mean that namespace, use docker.io/library as the mirror", quote(source))
	}
	return ""
}

// RewritesAll reports whether all of a source's references can be rewritten to the mirror, so that none is passed over (E3, Q3).
func RewritesAll(source, mirror Scope) bool {
	return source == mirror || len(mirror) <= MaxNameLength-roomForNames && invalidRewrites(source, mirror) == ""
}

// unmatchable describes the references that the source fails to match, and why (Q5), or returns "". The text continues a sentence that
// begins with the source.
func unmatchable(source Scope) string {
	host := source.Host()
	switch {
	case host == "index.docker.io", host == "registry-1.docker.io":
		return "never matches an image, because runtimes write Docker Hub as docker.io; use that as the host"
	case len(source) > MaxNameLength:
		return fmt.Sprintf("never matches an image, because no image name is longer than %d characters; use a shorter source", MaxNameLength)
	case !source.IsWildcard() && isShortName(host):
		return "never matches an image, because runtimes read it as a repository of docker.io; write the source with its registry"
	case strings.ToLower(host) != host:
		return fmt.Sprintf("matches only images with exactly this host, because runtimes compare hosts byte by byte; images usually write %s", quote(strings.ToLower(host)))
	}
	return ""
}
