// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package containerd writes rules as the tree of hosts.toml files that containerd is configured with, one folder a
// registry host, and reads such a file as containerd does (N3 and N4 of docs/semantics.md). The tree is a value: nothing
// here touches a disk.
package containerd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Marker begins every file of a [Tree]. By it a file is known to be ours.
const Marker = "# Written by Mirrorset from the ImageDigestMirrorSets of this cluster. Do not edit: changes are undone.\n"

// Tree is what the rules make of containerd's config_path.
type Tree struct {
	// Files are all that the folder holds of ours, in byte order of the path.
	Files []File
	// Pending are the hosts whose rules hosts.toml cannot say, in byte order of the host. They have no file.
	Pending []Pending
}

// File is one hosts.toml.
type File struct {
	// Host is the registry, with its port if it has one, as it stands in image references.
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
	// Blocked says that a source which must never be contacted is contacted all the same.
	Blocked bool
}

// Project writes the rules of every host that hosts.toml can serve, and names the others. Rules have different sources;
// their order does not matter.
func Project(rules []mirrors.Rule) Tree {
	p := newProjection(rules)
	var tree Tree
	for _, host := range slices.Sorted(maps.Keys(p.byHost)) {
		hosts, reason := p.project(host)
		switch {
		case reason != "":
			blocked := slices.ContainsFunc(p.byHost[host], func(rule *mirrors.Rule) bool { return rule.Blocked })
			tree.Pending = append(tree.Pending, Pending{Host: host, Reason: reason, Blocked: blocked})
		case len(hosts) > 0:
			tree.Files = append(tree.Files, File{Host: host, Path: Folders(host)[0] + "/hosts.toml", Content: render(hosts)})
		}
	}
	slices.SortFunc(tree.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return tree
}

// Folders returns the names that containerd (on Linux, since 1.6) looks for, the first first. Where one exists, with or
// without a hosts.toml, those behind it are not read. Ours is the first, so that nobody's folder hides a blocked source.
func Folders(host string) []string {
	if name, port, ok := strings.Cut(host, ":"); ok {
		return []string{name + "_" + port + "_", host}
	}
	return []string{host}
}

// projection is the rules by what is asked of them.
type projection struct {
	index  *mirrors.Index
	byHost map[string][]*mirrors.Rule
	// blocked and open are all sources in byte order.
	blocked, open []string
}

func newProjection(rules []mirrors.Rule) *projection {
	p := &projection{index: mirrors.NewIndex(rules), byHost: make(map[string][]*mirrors.Rule)}
	for i := range rules {
		rule := &rules[i]
		host, _, _ := strings.Cut(rule.Source, "/")
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
	slices.Sort(p.blocked)
	slices.Sort(p.open)
	return p
}

// project returns where images of a host come from, or the reason why hosts.toml cannot say it. Neither means that
// nothing is to be said: containerd goes to the source by itself.
func (p *projection) project(host string) (hosts []Endpoint, reason string) {
	rules := p.byHost[host]
	for _, rule := range rules {
		if err := rule.Validate(); err != nil { // nothing that Merge or Decode let through
			return nil, err.Error()
		}
	}
	if !slices.ContainsFunc(rules, func(rule *mirrors.Rule) bool { return rule.Blocked || len(rule.Mirrors) > 0 }) {
		return nil, "" // carve-outs from nothing (E5); where they are carved out of a wildcard, that is pending
	}
	rule := rules[0]
	if last := rules[len(rules)-1]; last.Source != host {
		return nil, fmt.Sprintf("source %s is a part of its registry, and hosts.toml can name whole registries only", quote(last.Source))
	}
	if strings.HasPrefix(host, "*") {
		return nil, fmt.Sprintf("source %s is a wildcard, which hosts.toml does not have", quote(host))
	}
	usable, reason := p.usable(rule)
	switch {
	case reason != "":
		return nil, reason
	case len(usable) > 0:
		return endpoints(rule, usable), ""
	case rule.Blocked:
		return nil, fmt.Sprintf("source %s is blocked and has no mirror that may be contacted; hosts.toml cannot refuse a pull", quote(host))
	}
	return nil, ""
}

// usable returns the mirrors that do not lie in a blocked source (Q4), without a source at the end, where it is tried
// anyhow (M4).
func (p *projection) usable(rule *mirrors.Rule) (usable []mirrors.Mirror, reason string) {
	for _, m := range rule.Mirrors {
		switch p.access(m.Location) {
		case partly:
			return nil, fmt.Sprintf("some of mirror %s of source %s is blocked and some is not, and hosts.toml can use a mirror for whole registries only",
				quote(m.Location), quote(rule.Source))
		case open:
			usable = append(usable, m)
		}
	}
	if n := len(usable); n > 0 && usable[n-1].Location == rule.Source {
		usable = usable[:n-1]
	}
	return usable, ""
}

// access is whether images may be pulled from below a location; the greater one is the stricter.
type access int

const (
	open access = iota
	partly
	blocked
)

// access tells what longest match says of all that lies below a mirror (Q4). Docker Hub is judged by both of its names:
// as a registry it is the same place, and a blocked source is not contacted under another name either.
func (p *projection) access(location string) access {
	strictest := open
	for _, name := range aliases(location) {
		here, opposite := open, p.blocked
		if rule := p.index.Resolve(mirrors.Reference{Name: name}).Rule; rule != nil && rule.Blocked {
			here, opposite = blocked, p.open
		}
		if anyBelow(opposite, name) {
			here = partly
		}
		strictest = max(strictest, here)
	}
	return strictest
}

// anyBelow tells whether one of the sorted sources lies below the name.
func anyBelow(sources []string, name string) bool {
	i, _ := slices.BinarySearch(sources, name+"/")
	return i < len(sources) && strings.HasPrefix(sources[i], name+"/")
}

// maxQuoted bounds a value in a reason.
const maxQuoted = 100

func quote(value string) string {
	return fmt.Sprintf("%.*q", maxQuoted, value)
}
