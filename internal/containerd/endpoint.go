// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Endpoint is one place that containerd asks for the images of a host, in the terms of its own loader.
type Endpoint struct {
	Scheme string `json:"scheme"`
	Host   string `json:"host"`
	// Path is the root of the registry API there.
	Path string `json:"path"`
	// DigestOnly is the capability "pull" alone: manifests and blobs by digest. Without it, tags are resolved and images are
	// pushed there as well.
	DigestOnly bool `json:"digestOnly,omitempty"`
	// SkipVerify takes any certificate.
	SkipVerify bool `json:"skipVerify,omitempty"`
}

const apiRoot = "/v2"

// Docker Hub's name in references, and as a registry.
const (
	dockerHub         = "docker.io"
	dockerHubRegistry = "registry-1.docker.io"
)

// aliases returns the location and, on Docker Hub, what it is by the other name.
func aliases(location string) []string {
	host, path := splitPath(location)
	switch host {
	case dockerHub:
		return []string{location, dockerHubRegistry + path}
	case dockerHubRegistry:
		return []string{location, dockerHub + path}
	}
	return []string{location}
}

// splitPath cuts a location into its host and its path, which keeps its slash.
func splitPath(location string) (host, path string) {
	host, _, _ = strings.Cut(location, "/")
	return host, location[len(host):]
}

// endpoints returns where the images of a rule's host come from, in order; the last one becomes the server. It has at least
// two, because containerd 1.6 refuses a file without a host table (N3), and then would go to the source, blocked or not. So
// a lone mirror of a blocked source is asked twice.
func endpoints(rule *mirrors.Rule, usable []mirrors.Mirror) []Endpoint {
	var all []Endpoint
	for _, m := range usable {
		insecure := m.Insecure || m.Location == rule.Source && isLoopback(rule.Source)
		for _, e := range endpointsOf(m.Location, insecure) {
			e.DigestOnly = true // L4
			all = append(all, e)
		}
	}
	if !rule.Blocked {
		all = append(all, endpointsOf(rule.Source, rule.Insecure || isLoopback(rule.Source))...)
	}
	if len(all) == 1 {
		all = append(all, all[0])
	}
	server := len(all) - 1
	return append(unique(all[:server]), all[server])
}

// endpointsOf returns the ways to one location. What registries.conf calls insecure is TLS with any certificate, and
// plain HTTP where that fails. hosts.toml could say it in one table (http with skip_verify), but what containerd makes of
// that depends on its version and on the port: plain HTTP only in 1.6, and in 1.7 without a port. Two tables mean the same
// everywhere.
func endpointsOf(location string, insecure bool) []Endpoint {
	host, path := splitPath(location)
	if host == dockerHub {
		host = dockerHubRegistry
	}
	tls := Endpoint{Scheme: "https", Host: host, Path: apiRoot + path, SkipVerify: insecure}
	if !insecure {
		return []Endpoint{tls}
	}
	return []Endpoint{tls, {Scheme: "http", Host: host, Path: apiRoot + path}}
}

var loopback = regexp.MustCompile(`^(?:localhost|127(?:\.[0-9]{1,3}){3})(?::[0-9]+)?$`)

// isLoopback tells whether the host is this very machine, where containerd by itself asks for no certificate and falls back
// to plain HTTP. A rule with mirrors must not put an end to that for the source.
func isLoopback(host string) bool {
	return loopback.MatchString(host)
}

// unique keeps the first of endpoints with the same URL: TOML has no place for a second table of that name, and containerd
// would ignore the whole file (N3). They come from a mirror on both names of Docker Hub, and from an insecure source among
// its own mirrors (M4), which is then asked for tags at its first place.
func unique(endpoints []Endpoint) []Endpoint {
	at := make(map[string]int, len(endpoints))
	kept := make([]Endpoint, 0, len(endpoints)+1)
	for _, e := range endpoints {
		if i, ok := at[e.url()]; ok {
			kept[i].DigestOnly = kept[i].DigestOnly && e.DigestOnly
			continue
		}
		at[e.url()] = len(kept)
		kept = append(kept, e)
	}
	return kept
}

// url always has a scheme: containerd takes "http.example.com" for a URL whose host is missing, and puts the source there.
func (e Endpoint) url() string {
	if e.Path == apiRoot {
		return e.Scheme + "://" + e.Host
	}
	return e.Scheme + "://" + e.Host + e.Path
}

// render writes the file, in this order because that is the order in which containerd asks. An encoder would sort the tables by name.
func render(hosts []Endpoint) []byte {
	var out bytes.Buffer
	out.WriteString(Marker)
	tables, server := hosts[:len(hosts)-1], hosts[len(hosts)-1]
	fmt.Fprintf(&out, "\nserver = %q\n", server.url())
	server.renderSettings(&out, "")
	for _, e := range tables {
		fmt.Fprintf(&out, "\n[host.%q]\n", e.url())
		e.renderSettings(&out, "  ")
	}
	return out.Bytes()
}

func (e Endpoint) renderSettings(out *bytes.Buffer, indent string) {
	if e.DigestOnly {
		out.WriteString(indent + "capabilities = [\"pull\"]\n")
	}
	if e.Path != apiRoot {
		out.WriteString(indent + "override_path = true\n")
	}
	if e.SkipVerify {
		out.WriteString(indent + "skip_verify = true\n")
	}
}
