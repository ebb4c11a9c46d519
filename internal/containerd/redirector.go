// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// RedirectorPath is the root of all that the redirector serves. No repository begins with an underscore.
const RedirectorPath = apiRoot + "/_mirrorset/"

// Entry is one of the places that the redirector is for containerd: the last element of an API root of its own.
type Entry string

// The entries that are no mirrors.
const (
	// Source is for a registry of which some part is blocked: it sends on to the registry, and refuses what is blocked.
	Source Entry = "source"
	// InsecureSource streams what the rules call insecure, and knows nothing else: containerd asks the registry itself next.
	InsecureSource Entry = "insecure"
)

// Rank is the entry of the mirrors that are at one place, from 0, in the list of their image.
func Rank(place int) Entry {
	return Entry(strconv.Itoa(place))
}

// Rank returns the place of the mirror, for an entry that is one.
func (e Entry) Rank() (place int, ok bool) {
	place, err := strconv.Atoi(string(e))
	return place, err == nil && place >= 0 && Rank(place) == e
}

// IsValid tells whether the redirector has such an entry.
func (e Entry) IsValid() bool {
	_, isRank := e.Rank()
	return isRank || e == Source || e == InsecureSource
}

// redirected returns the endpoints of a host whose images the redirector sends on, given all rules that have a say about
// them.
func (p *projection) redirected(host string, rules []*mirrors.Rule) (hosts []Endpoint, reason string) {
	if p.node.Redirector == "" {
		return nil, fmt.Sprintf("hosts.toml alone cannot say what sources like %s mean, and the redirector does not run", quote(rules[0].Source))
	}
	hosts = p.ranks(rules)
	if slices.ContainsFunc(rules, isBlocked) {
		if files := p.certificates(host); !files.isEmpty() {
			return nil, fmt.Sprintf("containerd would no longer use the certificates that lie beside hosts.toml for source %s, because the redirector has to tell which of its images may come from it; "+
				"take %s away, with the authority in the system's trust store", quote(host), enumerate(files))
		}
		return append(hosts, p.entry(Source)), ""
	}
	if !slices.ContainsFunc(rules, isSecure) || isLoopback(host) {
		return append(hosts, p.source(host, true)...), ""
	}
	if slices.ContainsFunc(rules, isInsecure) {
		hosts = append(hosts, p.entry(InsecureSource))
	}
	return append(hosts, p.source(host, false)...), ""
}

func isBlocked(rule *mirrors.Rule) bool { return rule.Blocked }

func isInsecure(rule *mirrors.Rule) bool { return rule.Insecure }

func isSecure(rule *mirrors.Rule) bool { return !rule.Insecure }

// ranks are the redirector's entries for mirrors, up to the longest list of these rules; at least one, because containerd
// 1.6 refuses a file without a host table.
func (p *projection) ranks(rules []*mirrors.Rule) []Endpoint {
	longest := 1
	for _, rule := range rules {
		longest = max(longest, len(rule.Mirrors))
	}
	hosts := make([]Endpoint, 0, longest+2)
	for place := range longest {
		hosts = append(hosts, p.entry(Rank(place)))
	}
	return hosts
}

// entry is plain HTTP without any TLS setting, which would have containerd try HTTPS first.
func (p *projection) entry(e Entry) Endpoint {
	_, isRank := e.Rank()
	return Endpoint{Scheme: "http", Host: p.node.Redirector, Path: RedirectorPath + string(e), DigestOnly: isRank}
}

// projectWildcards returns the endpoints of every registry that has no folder. Where none of the wildcards is blocked, the
// last of them is the registry itself, as if there were no file.
func (p *projection) projectWildcards(_ string, rules []*mirrors.Rule) (hosts []Endpoint, reason string) {
	if p.node.Redirector == "" {
		return nil, "a wildcard goes through the redirector, and that does not run"
	}
	hosts = p.ranks(rules)
	if slices.ContainsFunc(rules, isBlocked) {
		return append(hosts, p.entry(Source)), ""
	}
	if slices.ContainsFunc(rules, isInsecure) {
		hosts = append(hosts, p.entry(InsecureSource))
	}
	return append(hosts, Endpoint{}), ""
}

// Router answers what the redirector is asked, by longest match over the rules. An answer costs by the depth of a
// repository's path and not by the number of rules.
type Router struct {
	index *mirrors.Index
}

// NewRouter keeps pointers into the slice.
func NewRouter(rules []mirrors.Rule) *Router {
	return &Router{index: mirrors.NewIndex(rules)}
}

// Target is a repository of a registry.
type Target struct {
	// Host is the registry to connect to, and Repository the one there.
	Host, Repository string
	// Insecure allows plain HTTP and any certificate.
	Insecure bool
}

// Route is where the images of a repository come from, by digest.
type Route struct {
	// Rule decides; nil where no source matches.
	Rule *mirrors.Rule
	// Mirrors are those that may be contacted, by their rank.
	Mirrors []Target
	// Source is where the image's own name leads. It must not be contacted where the rule is blocked.
	Source Target
}

// Route returns the way to a repository, whose registry is named as in image references.
func (r *Router) Route(host, repository string) Route {
	name := host + "/" + repository
	resolution := r.index.Resolve(mirrors.Reference{Name: name, ByDigest: true})
	route := Route{Rule: resolution.Rule, Source: target(name, isLoopback(host))}
	sources := resolution.PullSources
	if !resolution.Blocked { // the last one is the source
		route.Source.Insecure = route.Source.Insecure || sources[len(sources)-1].Insecure
		sources = sources[:len(sources)-1]
	}
	for _, s := range sources {
		if slices.ContainsFunc(aliases(s.Location), func(name string) bool { return isBlockedAt(r.index, name) }) {
			continue
		}
		route.Mirrors = append(route.Mirrors, target(s.Location, s.Insecure || s.Location == name && isLoopback(host)))
	}
	return route
}

// Blocks tells whether a registry must not be asked for what is at a path of its API.
func (r *Router) Blocks(host, path string) bool {
	return slices.ContainsFunc(aliases(host+strings.TrimPrefix(path, apiRoot)), func(name string) bool { return isBlockedAt(r.index, name) })
}

// IsBlocked tells whether the source must not be contacted.
func (r Route) IsBlocked() bool {
	return r.Rule != nil && r.Rule.Blocked
}

func target(name string, insecure bool) Target {
	host, path := splitPath(name)
	return Target{Host: registry(host), Repository: strings.TrimPrefix(path, "/"), Insecure: insecure}
}

// Wildcard returns the wildcard source that decides for what is in no narrower source of a registry; "" for none.
func (r *Router) Wildcard(host string) string {
	if rule := r.index.Resolve(mirrors.Reference{Name: host}).Rule; rule != nil && isWildcard(rule.Source) {
		return rule.Source
	}
	return ""
}
