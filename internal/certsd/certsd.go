// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certsd writes rules as the tree of hosts.toml files that containerd is configured with, one folder per registry host. It also reads such a
// file as containerd does (N3 and N4 of docs/reference/semantics.md). The files lead to the redirector if there is one, followed by the endpoints
// that hosts.toml can express without it. The tree is a value: nothing here touches a disk.
package certsd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Marker begins every file of a [Tree], and identifies the file as ours.
const Marker = "# Written by Mirrorset from the ImageDigestMirrorSets of this cluster. Do not edit: changes are undone.\n"

// DefaultHost is the name of the folder for all registries without a folder of their own.
const DefaultHost = route.AnyHost

// Node is the facts about a node that a tree depends on, in addition to the rules.
type Node struct {
	// Redirector is the address of the node's redirector, as host:port; empty without one. In that case, only the rules that hosts.toml can express
	// are in force.
	Redirector string
	// Key opens the redirector's entries; empty if they need none.
	Key route.Key
	// AllowDefaultHost allows blocked wildcards to be in force, which makes every registry without a folder of its own depend on the redirector.
	AllowDefaultHost bool
	// Streamed reports if a mirror, or a place below it, needs settings that hosts.toml cannot express: a login, an authority, or TLS settings of the
	// node's own. Only the redirector can reach it then. Nil means that no mirror does.
	Streamed func(mirror mirrors.Scope) bool
	// Certificates returns the certificates next to a registry's hosts.toml, in Docker's layout. Nil means that there are none.
	Certificates func(host string) Certificates
	// Watched are the sources that sets in shadow mode watch (V3). If there is a redirector, containerd reaches each of them through it, with or
	// without a rule, so that the redirector sees which pulls would be refused. It refuses none of them because of that. Names that are not a source
	// are left out: no digest includes them (V4).
	Watched []mirrors.Scope
}

// Tree is the content of containerd's config_path for the rules.
type Tree struct {
	// Files are all files of ours in the folder, in byte order of the path.
	Files []File
	// Pending are the hosts whose rules are not in force, in byte order of the host. None of the files is for them.
	Pending []Pending
}

// File is one hosts.toml.
type File struct {
	// Host is the registry, with its port if it has one, as in image references; or [DefaultHost].
	Host string
	// Path is relative to config_path.
	Path string
	// Content begins with [Marker].
	Content []byte
}

// Pending is a host whose rules are not in force.
type Pending struct {
	// Host is the registry, or a wildcard source.
	Host string
	// Reason is for people.
	Reason string
	// Blocked is true if a source that must never be contacted is still contacted.
	Blocked bool
	// Unwanted is true if the node's settings refuse these rules, whatever was in force before.
	Unwanted bool
	// Instead closes the registry, or all registries without a folder, until there is a redirector. It is nil if nothing is blocked, or for another
	// reason. Its endpoints are at a port that no process can listen on. It is for a node where no other file closes the registry.
	Instead *File
}

// Folder returns the folder below config_path for the file of a pending host.
func (p Pending) Folder() string {
	if mirrors.Scope(p.Host).IsWildcard() {
		return DefaultHost
	}
	return Folders(p.Host)[0]
}

// Project writes the rules of every host that containerd can follow on this node, and names the other hosts. Rules have different sources; their
// order does not matter.
func Project(rules []mirrors.Rule, node Node) Tree {
	p := newProjection(rules, node)
	var tree Tree
	for _, host := range p.hosts() {
		p.add(&tree, host, p.byHost[host], p.rulesOf(host), p.project)
	}
	wildcards := p.wildcards(&tree)
	p.add(&tree, DefaultHost, wildcards, wildcards, p.projectWildcards)
	slices.SortFunc(tree.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(tree.Pending, func(a, b Pending) int { return cmp.Compare(a.Host, b.Host) })
	return tree
}

// add adds the file of a host for its own rules, or, if there is a reason against it, the pending rules. all are the rules that apply to its images.
func (p *projection) add(t *Tree, host string, own, all []*mirrors.Rule, project func(host string, all []*mirrors.Rule) (hosts []Endpoint, reason string)) {
	for _, rule := range own {
		if err := rule.Validate(); err != nil { // nothing that Merge or Decode let through
			t.Pending = append(t.Pending, pending(host, all, err.Error())...)
			return
		}
	}
	if !slices.ContainsFunc(own, saysAnything) && (p.node.Redirector == "" || !p.watches(host)) {
		return // carve-outs (E5), of nothing or of a wildcard, which the default host's redirector knows
	}
	if host != DefaultHost && len(host)+len("/x") > mirrors.MaxNameLength {
		return // no image has so long a name (Q5), and no folder could have it either
	}
	hosts, reason := project(host, all)
	switch {
	case reason != "":
		var instead *File
		if len(hosts) > 0 {
			f := fileOf(host, hosts)
			instead = &f
		}
		for _, left := range pending(host, all, reason) {
			left.Instead = instead
			t.Pending = append(t.Pending, left)
		}
	case len(hosts) > 0:
		t.Files = append(t.Files, fileOf(host, hosts))
	}
}

func fileOf(host string, hosts []Endpoint) File {
	return File{Host: host, Path: Folders(host)[0] + "/hosts.toml", Content: render(hosts)}
}

func saysAnything(rule *mirrors.Rule) bool {
	return rule.Blocked || rule.Insecure || len(rule.Mirrors) > 0
}

// pending returns one element for a host, and one for each of several wildcards.
func pending(host string, rules []*mirrors.Rule, reason string) []Pending {
	if host != DefaultHost {
		return []Pending{{Host: host, Reason: reason, Blocked: slices.ContainsFunc(rules, isBlocked)}}
	}
	var all []Pending
	for _, rule := range rules {
		all = append(all, Pending{Host: string(rule.Source), Reason: reason, Blocked: rule.Blocked})
	}
	return all
}

// projection holds the rules, sorted by use.
type projection struct {
	node   Node
	router *route.Router
	byHost map[string][]*mirrors.Rule
	// blocked and open are all sources in byte order.
	blocked, open []mirrors.Scope
}

func newProjection(rules []mirrors.Rule, node Node) *projection {
	p := &projection{node: node, router: route.NewRouter(rules), byHost: make(map[string][]*mirrors.Rule)}
	for i := range rules {
		rule := &rules[i]
		host := rule.Source.Host()
		p.byHost[host] = append(p.byHost[host], rule)
		if rule.Blocked {
			p.blocked = append(p.blocked, rule.Source)
		} else {
			p.open = append(p.open, rule.Source)
		}
	}
	for _, list := range p.byHost {
		slices.SortFunc(list, func(a, b *mirrors.Rule) int { return cmp.Compare(a.Source, b.Source) })
	}
	p.node.Watched = sources(node.Watched)
	slices.Sort(p.blocked)
	slices.Sort(p.open)
	return p
}

// rulesOf returns the rules that apply to images of a host: the rules that name it, in byte order of the source, and the wildcard that applies to its
// other images.
func (p *projection) rulesOf(host string) []*mirrors.Rule {
	if wildcard := p.router.Wildcard(host); wildcard != "" {
		return append(slices.Clone(p.byHost[host]), p.byHost[string(wildcard)]...)
	}
	return p.byHost[host]
}

// project returns the endpoints where containerd requests images of a host. If they cannot be determined, it returns the reason, and the endpoints
// that close the host meanwhile, if there are any. Without endpoints and without a reason, the host needs no file: containerd contacts the source by
// itself.
func (p *projection) project(host string, rules []*mirrors.Rule) (hosts []Endpoint, reason string) {
	if len(rules) == 1 && rules[0].Source == mirrors.Scope(host) && sameForAll(rules[0]) {
		rule := rules[0]
		usable, needsRedirector := p.usable(rule)
		switch {
		case needsRedirector:
		case len(usable) > 0, rule.Insecure && !rule.Blocked:
			return p.standingBehind(rule, usable), ""
		case p.node.Redirector != "": // which sees who goes to the source, or says why nobody may
		case rule.NoneServes(mirrors.ByDigest): // nobody there to say so: the name that nobody has closes it too
			return alone(p.direct(rule, rule.Mirrors)), ""
		case !rule.Blocked:
			return nil, ""
		}
	}
	return p.redirected(host, rules)
}

// sameForAll reports if a rule has no mirrors for tags, or the same as for digests, so that hosts.toml can express it (T11).
func sameForAll(rule *mirrors.Rule) bool {
	for _, m := range rule.Mirrors {
		if m.Modes != rule.Mirrors[0].Modes || m.Modes == mirrors.ByTag {
			return false
		}
	}
	return true
}

// usable returns the mirrors of a bare host that are not in a blocked source (Q4). It leaves out a source at the end, which is tried anyway (M4). If
// hosts.toml alone cannot express how to use a mirror, the redirector is needed.
func (p *projection) usable(rule *mirrors.Rule) (usable []mirrors.Mirror, needsRedirector bool) {
	for _, m := range rule.Mirrors {
		streamed := p.node.Streamed != nil && p.node.Streamed(m.Location)
		switch access := p.access(m.Location); {
		case access == partly, access == open && (streamed || !mirrors.RewritesAll(rule.Source, m.Location)):
			return nil, true
		case access == open:
			usable = append(usable, m)
		}
	}
	if n := len(usable); n > 0 && usable[n-1].Location == rule.Source {
		usable = usable[:n-1]
	}
	return usable, false
}

// wildcards returns the rules that [DefaultHost] is for. Blocked ones stay pending unless the node allows them.
func (p *projection) wildcards(tree *Tree) []*mirrors.Rule {
	var all []*mirrors.Rule
	for _, host := range slices.Sorted(maps.Keys(p.byHost)) {
		switch rule := p.byHost[host][0]; {
		case !rule.Source.IsWildcard():
		case rule.Blocked && !p.node.AllowDefaultHost:
			tree.Pending = append(tree.Pending, Pending{Host: host, Blocked: true, Unwanted: true, Reason: "blocking a wildcard makes every registry without a folder of its own depend on the redirector; " +
				"start the manager with --allow-default-host to allow that, or name each registry as a source"})
		default:
			all = append(all, rule)
		}
	}
	return all
}

// access is the permission to pull images from below a location; the greater one is the stricter.
type access int

const (
	open access = iota
	partly
	blocked
)

// access returns the result of longest match for everything below a mirror (Q4). Docker Hub is judged by both of its names: as a registry it is the
// same place, and a blocked source is not contacted under another name either.
func (p *projection) access(location mirrors.Scope) access {
	strictest := open
	if location.CannotExist() { // there is nobody to ask (E5)
		return blocked
	}
	for _, name := range route.Aliases(location) {
		here, opposite := open, p.blocked
		if p.router.IsBlockedAt(name) {
			here, opposite = blocked, p.open
		}
		if _, ok := mirrors.FirstBelow(opposite, name); ok {
			here = partly
		}
		strictest = max(strictest, here)
	}
	return strictest
}

// maxQuoted bounds a value in a reason.
const maxQuoted = 100

func quote[Text ~string](value Text) string {
	return fmt.Sprintf("%.*q", maxQuoted, string(value))
}
