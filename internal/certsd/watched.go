// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certsd

import (
	"maps"
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// sources returns the names that are sources. A folder with any other name could be anywhere.
func sources(names []mirrors.Scope) []mirrors.Scope {
	return slices.DeleteFunc(slices.Clone(names), func(name mirrors.Scope) bool { return (&mirrors.Rule{Source: name}).Validate() != nil })
}

// hosts returns the registries that rules name, or watched sources, in byte order.
func (p *projection) hosts() []string {
	all := slices.Collect(maps.Keys(p.byHost))
	for _, source := range p.node.Watched {
		all = append(all, source.Host())
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(host string) bool { return mirrors.Scope(host).IsWildcard() })
}

// watches reports if a registry, or [DefaultHost], has images of a watched source. A watched wildcard has [DefaultHost] only if it would have it when
// enforced (V5). It has no registry without a rule, because such a registry uses [DefaultHost].
func (p *projection) watches(host string) bool {
	return slices.ContainsFunc(p.node.Watched, func(source mirrors.Scope) bool {
		if source.IsWildcard() {
			return host == DefaultHost && p.node.AllowDefaultHost || source.Contains(mirrors.Scope(host)) && slices.ContainsFunc(p.byHost[host], saysAnything)
		}
		return source.Host() == host
	})
}
