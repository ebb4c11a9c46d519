// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"slices"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// maxShadowImages is how many images a status has room for.
const maxShadowImages = 10

// shadow is what a set in shadow mode would have refused of the sources that it watches, as far as nodes have seen that (V6). A node that has never
// reported has no rules yet, and so refuses nothing.
func (f *Fleet) shadow(before *configv1.ShadowStatus, watched map[string]bool, p *Published) *configv1.ShadowStatus {
	if f.Unseen && before != nil {
		return before
	}
	images := make(map[string]bool)
	nodes, unseen := 0, 0
	for i := range f.members {
		m := &f.members[i]
		if m.HasReported() && !p.isWatchedOn(m, watched) {
			unseen++
		}
		would := false
		for _, w := range m.Status.WouldRefuse {
			if !watched[w.Source] {
				continue
			}
			would = true
			for _, image := range w.Images {
				images[image] = true
			}
		}
		if would {
			nodes++
		}
	}
	status := &configv1.ShadowStatus{Nodes: number(nodes), UnseenNodes: number(unseen)}
	for image := range images {
		status.Images = append(status.Images, image)
	}
	slices.Sort(status.Images)
	status.Images = status.Images[:min(len(status.Images), maxShadowImages)]
	return status
}

// isWatchedOn reports whether a node sees all pulls from some watched sources. Its agent must have in force what is published, and that
// must watch all of them.
func (p *Published) isWatchedOn(m *fleet.Member, sources map[string]bool) bool {
	if !m.IsSpokenFor() || !m.SeesPulls() {
		return false
	}
	due, told := p.For(m.Name), p.Watched
	if due == p.Canary {
		told = p.CanaryWatched
	}
	for source := range sources {
		if _, ok := told[source]; !ok { // as where the change that has it watched is held up
			return false
		}
	}
	where, _ := standing.OfSources(&m.Status, due.Revision, sources, due)
	return where == standing.InForce
}

// isInShadowMode reports whether NeverContactSource of a set is watched and not enforced (V3).
func isInShadowMode(set *kinds.Set) bool {
	return (&mirrors.Set{Enforcement: set.GetAnnotations()[mirrors.EnforcementAnnotation]}).InShadowMode()
}
