// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"crypto/subtle"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// maxEntrances bounds the elements that are remembered. A node has as many as its hosts.toml files have entries.
const maxEntrances = 4096

// entrances remembers the elements that opened an entry, so that a key is not tried on each of them for every request.
type entrances struct {
	mu    sync.Mutex
	known map[entrance]string
}

// entrance is an entry of a registry, by a key.
type entrance struct {
	key      route.Key
	registry string
	entry    route.Entry
}

// opens reports whether an element is the one that a key has for an entry.
func (e *entrances) opens(at entrance, element string) bool {
	e.mu.Lock()
	known := e.known[at]
	e.mu.Unlock()
	if known != "" {
		return subtle.ConstantTimeCompare([]byte(known), []byte(element)) == 1
	}
	if !at.key.Opens(element, at.registry, at.entry) {
		return false
	}
	at.registry, at.entry = strings.Clone(at.registry), route.Entry(strings.Clone(string(at.entry))) // and not parts of a whole request
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.known) >= maxEntrances {
		clear(e.known)
	}
	e.known[at] = strings.Clone(element)
	return true
}

// isOpen reports if the client has read a hosts.toml of this node (N10): the file of the registry, or the file for all registries without their own.
// The latter opens only names that a wildcard covers, or that no rule with mirrors covers.
func (s *Server) isOpen(q question, rule *mirrors.Rule, keys []route.Key) bool {
	ofAny := rule == nil || rule.Source.IsWildcard() || len(rule.Mirrors) == 0
	return s.isBy(q, q.host, keys) || ofAny && s.isBy(q, route.AnyHost, keys)
}

// isBy reports if the client has read the hosts.toml of a registry, or, with [route.AnyHost], the file for all registries without their own.
func (s *Server) isBy(q question, registry string, keys []route.Key) bool {
	return slices.ContainsFunc(keys, func(k route.Key) bool { return s.opened.opens(entrance{k, registry, q.entry}, q.element) })
}
