// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package route finds, for a repository and a rank, the mirror of its images (M4, Q4 and L4 of docs/reference/semantics.md). It also names the
// entries of the redirector, which a runtime uses to request a rank. Nothing in this package depends on the runtime.
package route

import (
	"iter"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Router answers by longest match over the rules. The cost of an answer depends on the depth of a repository's path, and not on the number of rules.
type Router struct {
	rules []mirrors.Rule
	index *mirrors.Index
}

// NewRouter keeps pointers into the slice.
func NewRouter(rules []mirrors.Rule) *Router {
	return &Router{rules: rules, index: mirrors.NewIndex(rules)}
}

// Target is a repository of a registry.
type Target struct {
	// Host is the registry to connect to, and Repository the repository there.
	Host, Repository string
	// Insecure allows plain HTTP and any certificate.
	Insecure bool
}

// Route describes where the images of a repository come from that are named in one mode.
type Route struct {
	// Rule is the rule that applies; nil if no source matches.
	Rule *mirrors.Rule
	// Mirrors are the mirrors that may be contacted, by their rank.
	Mirrors []Target
	// Locations are the locations of these mirrors, in the same order, as the rule names them.
	Locations []mirrors.Scope
	// Source is where the image's own name leads. It must not be contacted if the rule is blocked.
	Source Target
}

// Route returns the way to a repository, whose registry is named as in image references, for references of a mode.
func (r *Router) Route(host, repository string, mode mirrors.Mode) Route {
	name := host + "/" + repository
	resolution := r.index.Resolve(mirrors.Reference{Name: name, Mode: mode})
	route := Route{Rule: resolution.Rule, Source: target(name, IsLoopback(host))}
	sources := resolution.PullSources
	if !resolution.Blocked { // the last one is the source
		route.Source.Insecure = route.Source.Insecure || sources[len(sources)-1].Insecure
		sources = sources[:len(sources)-1]
	}
	for _, s := range sources {
		if mirrors.Scope(s.Location).CannotExist() {
			continue // there is nobody to ask (E5)
		}
		if slices.ContainsFunc(Aliases(mirrors.Scope(s.Location))[1:], r.IsBlockedAt) { // that name itself the rules have looked at
			continue
		}
		route.Mirrors = append(route.Mirrors, target(s.Location, s.Insecure || s.Location == name && IsLoopback(host)))
		route.Locations = append(route.Locations, mirrors.Scope(strings.TrimSuffix(s.Location, route.Rule.Source.Rest(mirrors.Scope(name)))))
	}
	return route
}

// WithBlocked returns a router with the same rules that also blocks these sources, with or without a rule for them.
func (r *Router) WithBlocked(sources iter.Seq[mirrors.Scope]) *Router {
	rules, at := slices.Clone(r.rules), make(map[mirrors.Scope]int, len(r.rules))
	for i := range rules {
		at[rules[i].Source] = i
	}
	for source := range sources {
		if i, ok := at[source]; ok {
			rules[i].Blocked = true
		} else {
			rules = append(rules, mirrors.Rule{Source: source, Blocked: true})
		}
	}
	return NewRouter(rules)
}

// Blocks reports if a registry must not be contacted for a path of its API.
func (r *Router) Blocks(host, path string) bool {
	return r.Blocker(host, path) != ""
}

// Blocker returns the blocked source that forbids contact with a registry for a path of its API; "" if there is none.
func (r *Router) Blocker(host, path string) mirrors.Scope {
	for _, name := range Aliases(mirrors.Scope(host + strings.TrimPrefix(path, APIRoot))) {
		if rule := r.index.Find(name); rule != nil && rule.Blocked {
			return rule.Source
		}
	}
	return ""
}

// IsBlockedAt reports if longest match finds a blocked source for a name, without the other names of Docker Hub.
func (r *Router) IsBlockedAt(name mirrors.Scope) bool {
	rule := r.index.Find(name)
	return rule != nil && rule.Blocked
}

// Wildcard returns the wildcard source that applies to names in no narrower source of a registry; "" if there is none.
func (r *Router) Wildcard(host string) mirrors.Scope {
	if rule := r.index.Find(mirrors.Scope(host)); rule != nil && rule.Source.IsWildcard() {
		return rule.Source
	}
	return ""
}

// HasMirror reports if a rule names a mirror that contains a repository. The cost depends on the number of rules.
func (r *Router) HasMirror(repository mirrors.Scope) bool {
	names := Aliases(repository)
	return slices.ContainsFunc(r.rules, func(rule mirrors.Rule) bool {
		return slices.ContainsFunc(rule.Mirrors, func(m mirrors.Mirror) bool { return slices.ContainsFunc(names, m.Location.Contains) })
	})
}

// IsBlocked reports if the source must not be contacted.
func (r Route) IsBlocked() bool {
	return r.Rule != nil && r.Rule.Blocked
}

// Same reports if two routes lead to the same places, in the same order.
func (r Route) Same(other Route) bool {
	return slices.Equal(r.Mirrors, other.Mirrors) && r.Source == other.Source && r.IsBlocked() == other.IsBlocked()
}

func target(name string, insecure bool) Target {
	place := mirrors.Scope(name)
	return Target{Host: Registry(place.Host()), Repository: strings.TrimPrefix(place.Path(), "/"), Insecure: insecure}
}
