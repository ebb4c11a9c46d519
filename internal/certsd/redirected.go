// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd

import (
	"fmt"
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// standingBehind returns the endpoints of a host that hosts.toml alone can say all about, and which containerd asks first by way of the redirector, so
// that it passes over a mirror that hangs or has other content, says who refuses, and counts. What hosts.toml can say stands behind: it stands in while the
// agent is away, as nobody refuses a connection sooner than a port where nobody listens. While the agent is there, containerd comes to it only after all
// else failed (ADR 11).
func (p *projection) standingBehind(rule *mirrors.Rule, usable []mirrors.Mirror) []Endpoint {
	host, straight := rule.Source.Host(), p.direct(rule, usable)
	switch {
	case p.node.Redirector == "", !rule.Blocked && p.carriesItself(host):
		return alone(straight)
	case len(usable) == 0 && !p.watches(host): // an insecure source without mirrors, of which there is nothing to tell
		return straight
	}
	return append(append(p.ranks(host, []*mirrors.Rule{rule}), p.entry(host, route.Source)), straight...)
}

// carriesItself reports whether containerd goes to an open source past the redirector, because certificates lie beside its hosts.toml. No entry of the
// redirector can have them (N4): sent on from there, containerd would fail at the source, and then go there again by itself. It does so where the source is
// watched, because to see nothing would look like nothing to be refused.
func (p *projection) carriesItself(host string) bool {
	return !p.certificates(host).isEmpty() && !p.watches(host)
}

// redirected returns the endpoints of a host whose images the redirector sends on, given all rules that have a say about
// them.
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
	if !p.carriesItself(host) || !insecure && slices.ContainsFunc(rules, isInsecure) { // of which the redirector streams the insecure part
		hosts = append(hosts, p.entry(host, route.Source))
	}
	return append(hosts, p.source(host, insecure || route.IsLoopback(host))...), ""
}

// nowhere is where nobody can listen, so that a connection is refused at once.
const nowhere = "127.0.0.1:0"

// closing returns what closes a host while there is no redirector to tell which of its images are open; nothing where no rule blocks any. It is
// a host table and a server, both the entry that a redirector refuses by.
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

// ranks are the redirector's entries for mirrors, up to the longest list of these rules; at least one, because containerd
// 1.6 refuses a file without a host table. For a digest, the mirrors that a tag may have been found at stand behind those for
// digests (T10). Tags are asked for at the ranks that some rule has a mirror for tags at (T9).
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

// projectWildcards returns the endpoints of every registry that has no folder. Where none of the wildcards is blocked, the
// last of them is the registry itself, as if there were no file: it stands in while the agent is away.
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
