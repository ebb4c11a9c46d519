// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package shadow finds the requests that would be refused if no set were in shadow mode (V5 of docs/reference/semantics.md).
package shadow

import (
	"maps"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// Watch holds the sources that sets in shadow mode watch.
type Watch struct {
	sets     map[mirrors.Scope]string
	enforced *route.Router // by the rules as they would be
}

// New returns a watch of sources, each with the names of the sets that watch it; nil where there are none.
func New(rules *route.Router, watched map[string]string) *Watch {
	if len(watched) == 0 {
		return nil
	}
	sets := make(map[mirrors.Scope]string, len(watched))
	for source, by := range watched {
		sets[mirrors.Scope(source)] = by
	}
	return &Watch{sets, rules.WithBlocked(maps.Keys(sets))}
}

// Request is a request that the redirector answers with a place or streams from a place.
type Request struct {
	// Host and Repository are those of the image. Mode is how the request names it.
	Host, Repository string
	Mode             mirrors.Mode
	// To is that place, a mirror or the source. Left are the mirrors that have not been contacted yet.
	To   route.Target
	Left []route.Target
}

// WouldRefuse returns the watched sources for which a request would be refused, and the sets that watch them. It returns none if the enforced rules
// would contact the source, the place of the request or one of the mirrors that are left.
func (w *Watch) WouldRefuse(r Request) (sources []mirrors.Scope, sets string) {
	if w == nil {
		return nil, ""
	}
	way := w.enforced.Route(r.Host, r.Repository, r.Mode)
	if !way.IsBlocked() {
		return nil, ""
	}
	asked := way.Mirrors
	if r.Mode == mirrors.ByDigest { // what a tag named is asked for where the tag was found, too (T10)
		asked = slices.Concat(asked, w.enforced.Route(r.Host, r.Repository, mirrors.ByTag).Mirrors)
	}
	if isAmong(asked)(r.To) || slices.ContainsFunc(r.Left, isAmong(asked)) {
		return nil, ""
	}
	var by []string
	for _, source := range []mirrors.Scope{way.Rule.Source, w.blocker(r.To)} {
		if set, ok := w.sets[source]; ok && source != "" && !slices.Contains(sources, source) {
			sources, by = append(sources, source), append(by, set)
		}
	}
	return sources, strings.Join(slices.Compact(by), ", ")
}

// isAmong returns a function that reports if a place is one of several, no matter how it is contacted.
func isAmong(places []route.Target) func(route.Target) bool {
	return func(at route.Target) bool {
		return slices.ContainsFunc(places, func(p route.Target) bool { return p.Host == at.Host && p.Repository == at.Repository })
	}
}

// blocker returns the source for which a place would not be contacted; "" where it would be.
func (w *Watch) blocker(at route.Target) mirrors.Scope {
	return w.enforced.Blocker(at.Host, "/"+at.Repository)
}
