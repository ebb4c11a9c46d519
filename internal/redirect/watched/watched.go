// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package watched remembers the images that would be refused if sets in shadow mode were enforced, by watched source (docs/reference/semantics.md
// V5).
package watched

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

const (
	// maxImages bounds the images in memory per source, and maxTold the images that are reported.
	maxImages = 1000
	maxTold   = 10
	// maxSources bounds the sources with images in memory.
	maxSources = 100
	// maxImage bounds the name of an image, in bytes, with its digest. No image that can be pulled has a longer name.
	maxImage = 1024
)

// Source describes the images of one source that would be refused.
type Source struct {
	Source mirrors.Scope
	// Count is how many different images would be refused; 1000 stands for that many or more.
	Count int
	// Images are the first ten of them, in byte order.
	Images []string
}

// Memory remembers images.
type Memory struct {
	changed func()

	mu       sync.Mutex
	watched  map[mirrors.Scope]bool
	bySource map[mirrors.Scope]*images
}

// images are those of a source.
type images struct {
	seen map[string]bool
	told []string // the first ones, sorted
}

// New returns a memory that calls the function when a source has its first image, or when a source with images is no longer watched. A caller that
// needs every further image must look regularly.
func New(changed func()) *Memory {
	return &Memory{changed: changed, bySource: make(map[mirrors.Scope]*images)}
}

// Note records an image that would be refused, unless its source is no longer watched, or there is no room for more.
func (m *Memory) Note(source mirrors.Scope, image string) {
	m.mu.Lock()
	first := m.watched[source] && image != "" && len(image) <= maxImage && m.add(source, image)
	m.mu.Unlock()
	if first {
		m.changed()
	}
}

// add reports if the image is the first of its source. The caller holds the lock.
func (m *Memory) add(source mirrors.Scope, image string) (first bool) {
	of := m.bySource[source]
	switch {
	case of == nil && len(m.bySource) >= maxSources:
		return false
	case of == nil:
		of, first = &images{seen: make(map[string]bool)}, true
		m.bySource[source] = of
	case of.seen[image] || len(of.seen) >= maxImages:
		return false
	}
	image = strings.Clone(image) // and not a part of a whole request
	of.seen[image] = true
	if len(of.told) < maxTold {
		of.told = append(of.told, image)
		slices.Sort(of.told)
	}
	return first
}

// Keep watches these sources, and forgets the images of all others.
func (m *Memory) Keep(sources iter.Seq[mirrors.Scope]) {
	m.mu.Lock()
	m.watched = make(map[mirrors.Scope]bool)
	for source := range sources {
		m.watched[source] = true
	}
	before := len(m.bySource)
	for source := range m.bySource {
		if !m.watched[source] {
			delete(m.bySource, source)
		}
	}
	changes := len(m.bySource) != before
	m.mu.Unlock()
	if changes {
		m.changed()
	}
}

// All returns the sources whose images would be refused, in byte order.
func (m *Memory) All() (all []Source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for source, of := range m.bySource {
		all = append(all, Source{Source: source, Count: len(of.seen), Images: slices.Clone(of.told)})
	}
	slices.SortFunc(all, func(a, b Source) int { return cmp.Compare(a.Source, b.Source) })
	return all
}
