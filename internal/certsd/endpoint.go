// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Endpoint is one place where containerd requests the images of a host, in the terms of its own loader. The zero value is the registry itself, in the
// way that containerd uses without a file.
type Endpoint struct {
	Scheme string `json:"scheme"`
	Host   string `json:"host"`
	// Path is the root of the registry API there.
	Path string `json:"path"`
	// DigestOnly is the capability "pull" alone: manifests and blobs by digest. Without it, containerd also resolves tags and pushes images there.
	DigestOnly bool `json:"digestOnly,omitempty"`
	// NoPush are the capabilities "pull" and "resolve": containerd pulls from there, by digest or by tag, and pushes nothing there.
	NoPush bool `json:"noPush,omitempty"`
	// SkipVerify accepts any certificate.
	SkipVerify bool `json:"skipVerify,omitempty"`
	Certificates
}

// Certificates are files next to a hosts.toml. Without a hosts.toml, containerd finds them by their names, in Docker's layout.
type Certificates struct {
	// CA are certificate authorities.
	CA []string `json:"ca,omitempty"`
	// Client are pairs of a client's certificate and its key.
	Client [][2]string `json:"client,omitempty"`
}

// FindCertificates returns how containerd uses the files of a folder without a hosts.toml, and the first file that it does not use.
func FindCertificates(names []string) (found Certificates, other string) {
	for _, name := range names {
		base, isClient := strings.CutSuffix(name, ".cert")
		switch key := base + ".key"; {
		case !fileRegexp.MatchString(name):
			other = name
		case isClient && slices.Contains(names, key):
			found.Client = append(found.Client, [2]string{name, key})
		case isClient: // the key is in the same file
			found.Client = append(found.Client, [2]string{name, name})
		case strings.HasSuffix(name, ".crt"):
			found.CA = append(found.CA, name)
		}
		if other != "" {
			break
		}
	}
	return found, other
}

// fileRegexp is for names that a hosts.toml can have in quotes as they are.
var fileRegexp = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]*\.(crt|cert|key)$`)

func (c Certificates) isEmpty() bool {
	return len(c.CA) == 0 && len(c.Client) == 0
}

func enumerate(c Certificates) string {
	names := slices.Clone(c.CA)
	for _, pair := range c.Client {
		names = append(names, pair[0])
	}
	return strings.Join(names, ", ")
}

// direct returns the places that the images of a rule's host come from, in order; the last one becomes the server.
func (p *projection) direct(rule *mirrors.Rule, usable []mirrors.Mirror) []Endpoint {
	var all []Endpoint
	host := rule.Source.Host()
	for _, m := range usable {
		isSource := m.Location == rule.Source
		ways := endpointsOf(m.Location, m.Insecure || isSource && route.IsLoopback(host))
		if isSource {
			ways = p.source(host, m.Insecure || route.IsLoopback(host))
		}
		for _, e := range ways {
			e.DigestOnly, e.NoPush = m.Modes == mirrors.ByDigest, m.Modes != mirrors.ByDigest && !isSource // L4, T11
			all = append(all, e)
		}
	}
	if !rule.Blocked {
		all = append(all, p.source(host, rule.Insecure || route.IsLoopback(host))...)
	}
	server := len(all) - 1
	return append(unique(all[:server]), all[server])
}

// alone returns these endpoints for a file without others. It returns at least two, because containerd 1.6 refuses a file without a host table (N3),
// and would then contact the source, even a blocked one. So containerd contacts a lone mirror of a blocked source twice.
func alone(direct []Endpoint) []Endpoint {
	if len(direct) == 1 {
		return append(direct, direct[0])
	}
	return direct
}

// source returns the ways to a registry itself, with the certificates next to its hosts.toml.
func (p *projection) source(host string, insecure bool) []Endpoint {
	ways := endpointsOf(mirrors.Scope(host), insecure)
	ways[0].Certificates = p.certificates(host)
	return ways
}

func (p *projection) certificates(host string) Certificates {
	if p.node.Certificates == nil {
		return Certificates{}
	}
	return p.node.Certificates(host)
}

// endpointsOf returns the ways to one location, TLS first. For registries.conf, insecure means TLS with any certificate, and plain HTTP if that
// fails. hosts.toml could express this in one table (http with skip_verify), but its effect depends on containerd's version and on the port: plain
// HTTP only in 1.6, and in 1.7 without a port. Two tables have the same effect everywhere.
func endpointsOf(location mirrors.Scope, insecure bool) []Endpoint {
	host, path := location.Host(), location.Path()
	tls := Endpoint{Scheme: "https", Host: route.Registry(host), Path: route.APIRoot + path, SkipVerify: insecure}
	if !insecure {
		return []Endpoint{tls}
	}
	return []Endpoint{tls, {Scheme: "http", Host: route.Registry(host), Path: route.APIRoot + path}}
}

// unique keeps the first of the endpoints with the same URL. TOML allows no second table with that name, and containerd would ignore the complete
// file (N3). Such endpoints result from a mirror on both names of Docker Hub, and from an insecure source among its own mirrors (M4). That source
// then serves tags at its first place.
func unique(endpoints []Endpoint) []Endpoint {
	at := make(map[string]int, len(endpoints))
	kept := make([]Endpoint, 0, len(endpoints)+1)
	for _, e := range endpoints {
		if i, ok := at[e.url()]; ok {
			kept[i].DigestOnly, kept[i].NoPush = kept[i].DigestOnly && e.DigestOnly, kept[i].NoPush && e.NoPush
			continue
		}
		at[e.url()] = len(kept)
		kept = append(kept, e)
	}
	return kept
}

// isRedirector reports if the endpoint is an entry of the redirector.
func (e Endpoint) isRedirector() bool {
	return strings.HasPrefix(e.Path, route.RedirectorPath)
}

// url always has a scheme: containerd reads "http.example.com" as a URL without a host, and inserts the source.
func (e Endpoint) url() string {
	if e.Path == route.APIRoot {
		return e.Scheme + "://" + e.Host
	}
	return e.Scheme + "://" + e.Host + e.Path
}

// render writes the tables in the order in which containerd uses them. An encoder would sort the tables by name.
func render(hosts []Endpoint) []byte {
	var out bytes.Buffer
	out.WriteString(Marker)
	tables, server := hosts[:len(hosts)-1], hosts[len(hosts)-1]
	if server.Host != "" {
		fmt.Fprintf(&out, "\nserver = %q\n", server.url())
		server.renderSettings(&out, "")
	}
	for _, e := range tables {
		fmt.Fprintf(&out, "\n[host.%q]\n", e.url())
		e.renderSettings(&out, "  ")
	}
	return out.Bytes()
}

func (e Endpoint) renderSettings(out *bytes.Buffer, indent string) {
	switch {
	case e.DigestOnly:
		out.WriteString(indent + "capabilities = [\"pull\"]\n")
	case e.NoPush, e.isRedirector(): // nothing can be pushed through it
		out.WriteString(indent + "capabilities = [\"pull\", \"resolve\"]\n")
	}
	if e.Path != route.APIRoot {
		out.WriteString(indent + "override_path = true\n")
	}
	if e.SkipVerify {
		out.WriteString(indent + "skip_verify = true\n")
	}
	if len(e.CA) > 0 {
		fmt.Fprintf(out, "%sca = [%s]\n", indent, quoted(e.CA))
	}
	if len(e.Client) > 0 {
		pairs := make([]string, len(e.Client))
		for i, pair := range e.Client {
			pairs[i] = "[" + quoted(pair[:]) + "]"
		}
		fmt.Fprintf(out, "%sclient = [%s]\n", indent, strings.Join(pairs, ", "))
	}
}

func quoted(names []string) string {
	return `"` + strings.Join(names, `", "`) + `"`
}
