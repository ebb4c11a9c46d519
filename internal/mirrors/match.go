// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import "strings"

// Index finds the rule of an image by longest match (L1, L2). A look-up costs by the depth of the name, not by the number
// of rules.
type Index struct {
	bySource map[string]*Rule
	byDomain map[string]*Rule // wildcards, without "*."
}

// NewIndex returns an index over rules with different sources. It keeps pointers into the slice.
func NewIndex(rules []Rule) *Index {
	x := &Index{bySource: make(map[string]*Rule, len(rules)), byDomain: make(map[string]*Rule)}
	for i := range rules {
		if domain, ok := wildcardDomain(rules[i].Source); ok {
			x.byDomain[domain] = &rules[i]
		} else {
			x.bySource[rules[i].Source] = &rules[i]
		}
	}
	return x
}

// find returns the rule with the most specific source that matches a name or scope: the name itself and each of its
// parents up to the host, then the wildcards above the host, the longest first; nil where none does.
func (x *Index) find(name string) *Rule {
	for {
		if rule := x.bySource[name]; rule != nil {
			return rule
		}
		slash := strings.LastIndexByte(name, '/')
		if slash < 0 {
			return x.findWildcard(name)
		}
		name = name[:slash]
	}
}

// findWildcard returns the rule of the longest wildcard above a host. A host with a port has none: it is another registry.
func (x *Index) findWildcard(host string) *Rule {
	if strings.ContainsRune(host, ':') {
		return nil
	}
	for {
		_, domain, ok := strings.Cut(host, ".")
		if !ok {
			return nil
		}
		if rule := x.byDomain[domain]; rule != nil {
			return rule
		}
		host = domain
	}
}

// ignoringPort returns the rule that registries.conf readers use for a registry with a port because they match the host
// before it (Q2); nil where they agree with us.
func (x *Index) ignoringPort(name string) *Rule {
	registry, _ := split(name)
	host, _, hasPort := strings.Cut(registry, ":")
	switch {
	case !hasPort || x.find(name) != nil:
		return nil
	case x.bySource[host] != nil:
		return x.bySource[host]
	}
	return x.findWildcard(host)
}

// enclosing returns the rule that would decide for a source if the source had none of its own.
func (x *Index) enclosing(source string) *Rule {
	if domain, ok := wildcardDomain(source); ok {
		return x.findWildcard(domain)
	}
	if slash := strings.LastIndexByte(source, '/'); slash >= 0 {
		return x.find(source[:slash])
	}
	return x.findWildcard(source)
}

// tiedWildcard returns the rule of the wildcard that is as long as a bare host below it, which takes a first label of one
// character (Q1).
func (x *Index) tiedWildcard(source string) *Rule {
	first, domain, ok := strings.Cut(source, ".")
	if !ok || len(first) != 1 || first == "*" || strings.ContainsAny(domain, "/:") {
		return nil
	}
	return x.byDomain[domain]
}
