// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package probe finds out if the images that a node runs could still be pulled after a change of rules. It requests their manifests from registries
// by the new rules, and then by the old rules, but never from a place that the new rules block (docs/reference/semantics.md C9).
package probe

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/route"
)

// The bounds of one probe.
const (
	maxImages = 32
	atOnce    = 4
	within    = 40 * time.Second // less than canaries have at least (C3)
)

// Ask requests a manifest from a place: see [github.com/mirrorset/mirrorset/internal/agent/sink.Asker].
type Ask func(ctx context.Context, at route.Target, manifest string, isSource bool) route.Answer

// Change is a change of rules.
type Change struct {
	Before, After *route.Router
}

// Touches reports if the image comes from other places after the change, or in another order.
func (c Change) Touches(image mirrors.Reference) bool {
	return !way(c.Before, image).Same(way(c.After, image))
}

// TouchesRepository reports if the change touches any image of a repository.
func (c Change) TouchesRepository(host, repository string) bool {
	return slices.ContainsFunc([]mirrors.Mode{mirrors.ByDigest, mirrors.ByTag}, func(m mirrors.Mode) bool {
		return !c.Before.Route(host, repository, m).Same(c.After.Route(host, repository, m))
	})
}

func way(by *route.Router, image mirrors.Reference) route.Route {
	host, repository, _ := strings.Cut(image.Name, "/")
	return by.Route(host, repository, image.Mode)
}

// Result is the result of a probe.
type Result struct {
	// Asked is how many images were requested, and NotAsked how many other images the change touches.
	Asked, NotAsked int
	// Lost are the images that could be pulled before the change, and not after it.
	Lost []Lost
}

// Lost is an image that can no longer be pulled.
type Lost struct {
	Image mirrors.Reference
	// Why has each place that was contacted with its answer, for people.
	Why string
	// MayYetBe is true if one of them failed while it was contacted, and so may still have the image.
	MayYetBe bool
}

// Probe requests the images that the change touches.
func (c Change) Probe(ctx context.Context, images []mirrors.Reference, ask Ask) Result {
	touched := slices.DeleteFunc(slices.Clone(images), func(image mirrors.Reference) bool { return !c.Touches(image) })
	some := touched[:min(len(touched), maxImages)]
	result := Result{NotAsked: len(touched) - len(some)}
	for i, found := range c.each(ctx, some, ask, func(a *asking) bool { return a.wasThere(c) }) {
		switch found.verdict {
		case undecided:
			result.NotAsked++
			continue
		case gone:
			result.Lost = append(result.Lost, Lost{some[i], found.why, found.mayYetBe})
		}
		result.Asked++
	}
	return result
}

// Again requests lost images, and returns those that are still lost.
func (c Change) Again(ctx context.Context, lost []Lost, ask Ask) (still []Lost) {
	images := make([]mirrors.Reference, len(lost))
	for i := range lost {
		images[i] = lost[i].Image
	}
	for i, found := range c.each(ctx, images, ask, func(*asking) bool { return true }) {
		switch found.verdict {
		case undecided:
			still = append(still, lost[i])
		case gone:
			still = append(still, Lost{images[i], found.why, found.mayYetBe})
		}
	}
	return still
}

// verdict is what is known of an image.
type verdict int

const (
	undecided verdict = iota // time was up
	fine
	gone
)

type finding struct {
	verdict  verdict
	why      string
	mayYetBe bool
}

// each judges images, some in parallel. An image that the new rules do not lead to is gone if it was there before.
func (c Change) each(ctx context.Context, images []mirrors.Reference, ask Ask, wasThere func(*asking) bool) []finding {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	found := make([]finding, len(images))
	silent := &sync.Map{}
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, image := range images {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			a := &asking{ctx: ctx, ask: ask, image: image, silent: silent, answers: make(map[place]route.Answer)}
			found[i] = a.judge(c, wasThere)
		})
	}
	all.Wait()
	return found
}

func (a *asking) judge(c Change, wasThere func(*asking) bool) finding {
	isThere, why := a.isThere(c)
	switch {
	case isThere:
		return finding{verdict: fine}
	case a.ctx.Err() != nil:
		return finding{}
	case wasThere(a):
		return finding{gone, why, a.fails(c)}
	case a.ctx.Err() != nil:
		return finding{}
	}
	return finding{verdict: fine} // as far as it was before
}
