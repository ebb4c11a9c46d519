// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package watched remembers the images that would be refused if sets in shadow mode were enforced, by the source that is watched (docs/reference/semantics.md V5).
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
	// maxImages is how many images of a source are remembered, and maxTold how many are told.
	maxImages = 1000
	maxTold   = 10
	// maxSources is of how many sources images are remembered.
	maxSources = 100
	// maxImage is how long the name of an image may be, in bytes, with its digest. None that can be pulled is longer.
	maxImage = 1024
)

// Source is what would be refused of one.
type Source struct {
	Source mirrors.Scope
	// Count is how many different images would be; 1000 stands for that many and more.
	Count int
	// Images are the ten of these that came first, in byte order.
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

// New returns a memory that calls the function when a source has its first image, or one with images is watched no longer. Whoever wants to know
// of each further image has to look now and then.
func New(changed func()) *Memory {
	return &Memory{changed: changed, bySource: make(map[mirrors.Scope]*images)}
}

// Note takes note of an image that would be refused, unless its source is watched no longer, or there is no room for more.
func (m *Memory) Note(source mirrors.Scope, image string) {
	m.mu.Lock()
	first := m.watched[source] && image != "" && len(image) <= maxImage && m.add(source, image)
	m.mu.Unlock()
	if first {
		m.changed()
	}
}

// add returns whether the image is the first one of its source. The lock is held.
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

// Keep has these sources watched, and forgets the images of all others.
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

// All returns the sources that images would be refused of, in byte order.
func (m *Memory) All() (all []Source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for source, of := range m.bySource {
		all = append(all, Source{Source: source, Count: len(of.seen), Images: slices.Clone(of.told)})
	}
	slices.SortFunc(all, func(a, b Source) int { return cmp.Compare(a.Source, b.Source) })
	return all
}
