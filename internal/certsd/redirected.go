// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd

import (
	"fmt"
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// standingBehind returns the endpoints of a host that hosts.toml alone can express completely. containerd still contacts the redirector first. The
// redirector passes over a mirror that hangs or has other content, reports who refuses, and counts. The endpoints of hosts.toml come after it, and
// take over while the agent is away, because a port without a listener refuses a connection fastest. While the agent runs, containerd reaches them
// only after everything before them failed (ADR 11).
func (p *projection) standingBehind(rule *mirrors.Rule, usable []mirrors.Mirror) []Endpoint {
	host, straight := rule.Source.Host(), p.direct(rule, usable)
	switch {
	case p.node.Redirector == "", !rule.Blocked && p.carriesItself(host):
		return alone(straight)
	case len(usable) == 0 && !p.watches(host): // the redirector has nothing to decide for an insecure source without mirrors
		return straight
	}
	return append(append(p.ranks(host, []*mirrors.Rule{rule}), p.entry(host, route.Source)), straight...)
}

// carriesItself reports if containerd contacts an open source without the redirector, because certificates are next to its hosts.toml. No entry of
// the redirector can have them (N4). containerd, redirected from there, would fail at the source, and then contact it again by itself. A watched
// source still has the entry, despite this detour. Otherwise, the redirector would see no pull, which looks like no pull to refuse.
func (p *projection) carriesItself(host string) bool {
	return !p.certificates(host).isEmpty() && !p.watches(host)
}

// redirected returns the endpoints of a host whose images the redirector redirects, given all rules that apply to them.
func (p *projection) redirected(host string, rules []*mirrors.Rule) (hosts []Endpoint, reason string) {
	if p.node.Redirector == "" {
		return closing(rules), fmt.Sprintf("a hosts.toml alone cannot express sources like %s, and the redirector does not run", quote(rules[0].Source))
	}
	hosts = p.ranks(host, rules)
	if slices.ContainsFunc(rules, isBlocked) {
		if files := p.certificates(host); !files.isEmpty() {
			return nil, fmt.Sprintf("containerd would no longer use the certificates next to hosts.toml for source %s, because the redirector must decide which images may come from it; "+
				"move the authority to the system's trust store, then remove %s", quote(host), enumerate(files))
		}
		return append(hosts, p.entry(host, route.Source)), ""
	}
	insecure := len(rules) > 0 && !slices.ContainsFunc(rules, isSecure)
	if !p.carriesItself(host) || !insecure && slices.ContainsFunc(rules, isInsecure) { // the redirector streams the insecure part
		hosts = append(hosts, p.entry(host, route.Source))
	}
	return append(hosts, p.source(host, insecure || route.IsLoopback(host))...), ""
}

// nowhere is an address that no process can listen on, so that a connection is refused immediately.
const nowhere = "127.0.0.1:0"

// closing returns the endpoints that close a host while there is no redirector to decide which of its images are open. It returns nothing if no rule
// blocks any. The endpoints are a host table and a server, both the entry where a redirector refuses.
func closing(rules []*mirrors.Rule) []Endpoint {
	if !slices.ContainsFunc(rules, isBlocked) {
		return nil
	}
	e := Endpoint{Scheme: "http", Host: nowhere, Path: route.Key("").Path("", route.Source)}
	return []Endpoint{e, e}
}

func isBlocked(rule *mirrors.Rule) bool { return rule.Blocked }

func isInsecure(rule *mirrors.Rule) bool { return rule.Insecure }

func isSecure(rule *mirrors.Rule) bool { return !rule.Insecure }

// ranks are the redirector's entries for mirrors, up to the longest list of these rules. There is at least one, because containerd 1.6 refuses a file
// without a host table. For a digest, the mirrors that may have had a tag come after those for digests (T10). Tags are requested at the ranks that
// have a mirror for tags in some rule (T9).
func (p *projection) ranks(host string, rules []*mirrors.Rule) []Endpoint {
	longest, forTags := 1, 0
	for _, rule := range rules {
		digests, tags := rule.MirrorsFor(mirrors.ByDigest), rule.MirrorsFor(mirrors.ByTag)
		forTags = max(forTags, len(tags))
		for _, tag := range tags {
			if !slices.ContainsFunc(digests, func(m mirrors.Mirror) bool { return m.Location == tag.Location }) {
				digests = append(digests, tag)
			}
		}
		longest = max(longest, len(digests), len(tags))
	}
	hosts := make([]Endpoint, 0, longest+2)
	for place := range longest {
		e := p.entry(host, route.Rank(place))
		e.DigestOnly = place >= forTags
		hosts = append(hosts, e)
	}
	return hosts
}

// entry is plain HTTP without any TLS setting, which would have containerd try HTTPS first.
func (p *projection) entry(host string, e route.Entry) Endpoint {
	return Endpoint{Scheme: "http", Host: p.node.Redirector, Path: p.node.Key.Path(host, e)}
}

// projectWildcards returns the endpoints of every registry that has no folder. If no wildcard is blocked, the last endpoint is the registry itself,
// as without a file: it takes over while the agent is away.
func (p *projection) projectWildcards(host string, rules []*mirrors.Rule) (hosts []Endpoint, reason string) {
	if p.node.Redirector == "" {
		return closing(rules), "a wildcard needs the redirector, which does not run"
	}
	hosts = append(p.ranks(host, rules), p.entry(host, route.Source))
	if !slices.ContainsFunc(rules, isBlocked) {
		hosts = append(hosts, Endpoint{})
	}
	return hosts, ""
}
