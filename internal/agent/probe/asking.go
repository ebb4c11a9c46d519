// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// place is where an image is asked for.
type place struct {
	route.Target
	isSource bool
}

// asking is how one image is asked for. No place is asked twice.
type asking struct {
	ctx     context.Context
	ask     Ask
	image   mirrors.Reference
	answers map[place]route.Answer
	// silent has the registries that did not answer in time, for all images of a probe: each would take that time again.
	silent *sync.Map
}

// at asks a place.
func (a *asking) at(p place) route.Answer {
	if known, ok := a.answers[p]; ok {
		return known
	}
	if silent, ok := a.silent.Load(p.Host); ok {
		return silent.(route.Answer)
	}
	answer := a.ask(a.ctx, p.Target, a.image.Suffix[1:], p.isSource)
	if answer.Found == route.Silent && a.ctx.Err() == nil {
		a.silent.Store(p.Host, answer)
	}
	a.answers[p] = answer
	return answer
}

// places are those that a route leads to, in their order.
func places(way route.Route) (all []place) {
	for _, m := range way.Mirrors {
		all = append(all, place{m, m.Host == way.Source.Host && m.Repository == way.Source.Repository})
	}
	if !way.IsBlocked() {
		all = append(all, place{way.Source, true})
	}
	return all
}

// isThere asks by the new rules, as a runtime does, and says else why each place does not have the image. A source that refuses may take a
// Pod's pull secret. That a mirror does is not counted on: no runtime has to send it there.
func (a *asking) isThere(c Change) (_ bool, why string) {
	by := way(c.After, a.image)
	var answers []string
	for _, p := range places(by) {
		answer := a.at(p)
		if answer.Found == route.Has || answer.Found == route.Refuses && p.isSource {
			return true, ""
		}
		answers = append(answers, p.Host+"/"+p.Repository+": "+answer.Why)
	}
	if len(by.Mirrors) == 0 {
		answers = append(answers, "no mirror can serve it by "+a.image.Mode.String())
	}
	if by.IsBlocked() {
		answers = append(answers, "the source is blocked")
	}
	return false, strings.Join(answers, "; ")
}

// wasThere asks by the old rules whether the image could be had, but at no place that the new ones block. As the image runs, it counts as
// there where that cannot be told: a registry that fails while it is asked must not have a change pass. One that the new rules lead to as
// well fails whether or not there is a change.
func (a *asking) wasThere(c Change) bool {
	old, now := places(way(c.Before, a.image)), places(way(c.After, a.image))
	if slices.ContainsFunc(old, func(p place) bool { return c.After.Blocks(p.Host, route.APIRoot+"/"+p.Repository) }) {
		return true
	}
	return slices.ContainsFunc(old, func(p place) bool {
		switch a.at(p).Found {
		case route.Lacks:
			return false
		case route.Fails, route.Silent:
			return !slices.Contains(now, p)
		}
		return true
	})
}

// fails reports whether a place that the new rules lead to failed while it was asked.
func (a *asking) fails(c Change) bool {
	return slices.ContainsFunc(places(way(c.After, a.image)), func(p place) bool {
		found := a.at(p).Found
		return found == route.Fails || found == route.Silent
	})
}
