// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// Scope is a part of the image namespace: host[:port][/path], or "*." and a host for all of that host's subdomains (section 0).
// The place of a mirror is one, without a wildcard. Its methods take what follows the grammar.
type Scope string

// Host returns the registry with its port, or "*." and a host.
func (s Scope) Host() string {
	host, _, _ := strings.Cut(string(s), "/")
	return host
}

// Path returns the part after the host, with its slash. It is empty for a complete registry.
func (s Scope) Path() string {
	return string(s[len(s.Host()):])
}

// depth is how many components the path has.
func (s Scope) depth() int {
	return strings.Count(string(s), "/")
}

// IsWildcard reports whether the scope is all subdomains of a host.
func (s Scope) IsWildcard() bool {
	_, ok := s.domain()
	return ok
}

// CannotExist reports whether no host of this name can ever exist. Section 6.4 of RFC 6761 reserves the top-level domain "invalid" for that.
// An administrator who blocks a source without a real mirror names such a mirror, for example blocked.invalid (E5).
func (s Scope) CannotExist() bool {
	host, _, _ := strings.Cut(s.Host(), ":")
	return strings.EqualFold(host[strings.LastIndexByte(host, '.')+1:], "invalid")
}

// domain returns the part of a wildcard behind "*.".
func (s Scope) domain() (domain Scope, ok bool) {
	text, ok := strings.CutPrefix(string(s), "*.")
	return Scope(text), ok
}

// Rest returns the part after the match in a name, or in a narrower scope, that this scope contains. A pull appends it to the place of a
// mirror (L3). A wildcard matches the complete host.
func (s Scope) Rest(name Scope) string {
	if s.IsWildcard() {
		return name.Path()
	}
	return string(name[min(len(name), len(s)):])
}

// Contains reports whether the scope matches all of another one by L1 and L2. Each contains itself.
func (s Scope) Contains(other Scope) bool {
	if other == s {
		return true
	}
	if domain, ok := s.domain(); ok {
		return strings.HasSuffix(other.Host(), "."+string(domain))
	}
	return strings.HasPrefix(string(other), string(s)) && other[len(s)] == '/'
}

// FirstBelow returns the first of scopes in byte order whose path continues another one.
func FirstBelow(sorted []Scope, s Scope) (below Scope, ok bool) {
	at, _ := slices.BinarySearch(sorted, s+"/")
	if at == len(sorted) || !strings.HasPrefix(string(sorted[at]), string(s+"/")) {
		return "", false
	}
	return sorted[at], true
}

// Scopes are several parts of the image namespace, such as the registries that may be reached without TLS.
type Scopes []Scope

// ParseScopes checks scopes against the grammar of sources; the error names the first one outside it.
func ParseScopes(scopes []string) (Scopes, error) {
	parsed := make(Scopes, 0, len(scopes))
	for _, s := range scopes {
		if !value.Source.Takes(s) {
			return nil, fmt.Errorf("scope %s is invalid; write host[:port][/path] or *.host", quote(s))
		}
		parsed = append(parsed, Scope(s))
	}
	return parsed, nil
}

// Contain reports whether one of the scopes contains the other.
func (s Scopes) Contain(other Scope) bool {
	return slices.ContainsFunc(s, func(scope Scope) bool { return scope.Contains(other) })
}
