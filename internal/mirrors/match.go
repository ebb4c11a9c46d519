// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import "strings"

// Index finds the rule of an image by longest match (L1, L2). A look-up costs by the depth of the name, not by the number
// of rules.
type Index struct {
	bySource map[Scope]*Rule
	byDomain map[Scope]*Rule // wildcards, without "*."
	lengths  []bool          // whether a source that is no wildcard has so many characters, so that a name of very many components is not looked for at each
}

// NewIndex returns an index over rules with different sources. It keeps pointers into the slice.
func NewIndex(rules []Rule) *Index {
	x := &Index{bySource: make(map[Scope]*Rule, len(rules)), byDomain: make(map[Scope]*Rule)}
	for i := range rules {
		if domain, ok := rules[i].Source.domain(); ok {
			x.byDomain[domain] = &rules[i]
		} else {
			x.bySource[rules[i].Source] = &rules[i]
			length := len(rules[i].Source)
			x.lengths = append(x.lengths, make([]bool, max(0, length+1-len(x.lengths)))...)
			x.lengths[length] = true
		}
	}
	return x
}

// Find returns the rule with the most specific source that matches a name or scope, or nil where none does. It tries the name itself and
// each of its parents up to the host, then the wildcards above the host, the longest first. A host with a port is another registry, which
// no wildcard matches.
func (x *Index) Find(name Scope) *Rule {
	if rule := x.findExact(name); rule != nil {
		return rule
	}
	return x.findWildcard(name.Host())
}

// findExact looks at the name and its parents only.
func (x *Index) findExact(name Scope) *Rule {
	for {
		if len(name) < len(x.lengths) && x.lengths[len(name)] {
			if rule := x.bySource[name]; rule != nil {
				return rule
			}
		}
		slash := strings.LastIndexByte(string(name), '/')
		if slash < 0 {
			return nil
		}
		name = name[:slash]
	}
}

// findWildcard returns the rule of the longest wildcard above a host.
func (x *Index) findWildcard(host string) *Rule {
	for {
		_, domain, ok := strings.Cut(host, ".")
		if !ok {
			return nil
		}
		if rule := x.byDomain[Scope(domain)]; rule != nil {
			return rule
		}
		host = domain
	}
}

// At returns the rule with exactly this source, or nil where there is none.
func (x *Index) At(source Scope) *Rule {
	if domain, ok := source.domain(); ok {
		return x.byDomain[domain]
	}
	return x.bySource[source]
}

// Enclosing returns the rule that would decide for a source if the source had none of its own.
func (x *Index) Enclosing(source Scope) *Rule {
	if domain, ok := source.domain(); ok {
		return x.findWildcard(string(domain))
	}
	if slash := strings.LastIndexByte(string(source), '/'); slash >= 0 {
		return x.Find(source[:slash])
	}
	return x.findWildcard(string(source))
}

// tiedWildcard returns the rule of the wildcard that is as long as a bare host below it, which takes a first label of one
// character (Q1).
func (x *Index) tiedWildcard(source Scope) *Rule {
	first, domain, ok := strings.Cut(string(source), ".")
	if !ok || len(first) != 1 || first == "*" {
		return nil
	}
	return x.byDomain[Scope(domain)]
}
