// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"slices"
	"strings"

	"go.podman.io/image/v5/docker/reference"
)

// ResolveByReaders returns where CRI-O, Podman and the other readers of registries.conf pull an image from. It differs from [Index.Resolve]
// by their quirks (Q1 to Q4). Fails reports if one mirror makes the complete pull fail.
func (x *Index) ResolveByReaders(ref Reference) Resolution {
	self := PullSource{Location: ref.String()}
	rule := x.findByReaders(Scope(ref.Name))
	if rule == nil {
		return Resolution{PullSources: []PullSource{self}}
	}
	self.Insecure = rule.Insecure
	res := Resolution{Rule: rule, Blocked: rule.Blocked}
	for i := range rule.Mirrors {
		m := &rule.Mirrors[i]
		if m.Modes&ref.Mode == 0 {
			continue
		}
		// The part after the match, including a port (Q2), is appended to the mirror as text.
		location := string(m.Location) + ref.String()[matchedByReaders(rule, Scope(ref.Name)):]
		named, err := reference.ParseNamed(location)
		if err != nil {
			return Resolution{Rule: rule, Blocked: rule.Blocked, Fails: fmt.Sprintf("mirror %s turns it into %s, which is not a valid image reference", quote(m.Location), quote(location))}
		}
		if by := x.findByReaders(Scope(named.Name())); by == nil || !by.Blocked {
			res.PullSources = append(res.PullSources, PullSource{Location: location, Insecure: m.Insecure, From: m.listedFor(ref.Mode)})
		}
	}
	if !rule.Blocked {
		res.PullSources = append(res.PullSources, self)
	}
	return res
}

// findByReaders returns the rule with the longest source that the readers match with a name; of two equally long ones the
// wildcard (Q1).
func (x *Index) findByReaders(name Scope) *Rule {
	domain, _, hasPort := strings.Cut(name.Host(), ":")
	exact := x.findExact(name)
	if exact == nil && hasPort {
		exact = x.bySource[Scope(domain)] // Q2
	}
	wildcard := x.findWildcardByReaders(domain)
	if exact == nil || wildcard != nil && len(wildcard.Source) >= len(exact.Source) {
		return wildcard
	}
	return exact
}

// findWildcardByReaders looks at the first place only where the wildcard's domain occurs in the host (Q2).
func (x *Index) findWildcardByReaders(host string) *Rule {
	for rest := host; ; {
		_, domain, ok := strings.Cut(rest, ".")
		if !ok {
			return nil
		}
		if rule := x.byDomain[Scope(domain)]; rule != nil && strings.Index(host, "."+domain) == len(host)-len(domain)-1 {
			return rule
		}
		rest = domain
	}
}

// matchedByReaders is the length of what the readers replace of a name by a mirror.
func matchedByReaders(rule *Rule, name Scope) int {
	if !rule.Source.IsWildcard() {
		return len(rule.Source)
	}
	domain, _, _ := strings.Cut(name.Host(), ":")
	return len(domain)
}

// Differs reports whether two resolutions of one image pull from different places.
func (r Resolution) Differs(other Resolution) bool {
	return r.Fails != other.Fails || !slices.EqualFunc(r.PullSources, other.PullSources, func(a, b PullSource) bool {
		return a.Location == b.Location
	})
}
