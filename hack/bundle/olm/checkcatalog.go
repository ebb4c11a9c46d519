// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Check says what is wrong with a catalog, and where it and the bundle that was added last say different things.
func (c *Catalog) Check(b *Bundle) []error {
	broken := c.checkGraph()
	for i, err := range broken {
		broken[i] = fmt.Errorf("%s: %w", CatalogFile, err)
	}
	for _, err := range c.checkBundle(b) {
		broken = append(broken, fmt.Errorf("%s: bundle %s: %w", CatalogFile, b.CSV.Name, err))
	}
	return broken
}

// checkGraph: there is one way from every release to the newest of its channel.
func (c *Catalog) checkGraph() (broken []error) {
	fail := func(format string, args ...any) { broken = append(broken, fmt.Errorf(format, args...)) }
	if c.Package.Name != PackageName {
		fail("the package is called %q; want %q", c.Package.Name, PackageName)
	}
	if !slices.ContainsFunc(c.Channels, func(channel Channel) bool { return channel.Name == c.Package.DefaultChannel }) {
		fail("there is no channel %q, the default one", c.Package.DefaultChannel)
	}
	bundles, entered := map[string]bool{}, map[string]bool{}
	for _, bundle := range c.Bundles {
		if bundles[bundle.Name] {
			fail("bundle %s is there twice", bundle.Name)
		}
		bundles[bundle.Name] = true
	}
	for _, channel := range c.Channels {
		for _, err := range channel.check(bundles) {
			fail("channel %s: %w", channel.Name, err)
		}
		for _, e := range channel.Entries {
			entered[e.Name] = true
		}
	}
	for _, bundle := range c.Bundles {
		if !entered[bundle.Name] {
			fail("bundle %s is in no channel", bundle.Name)
		}
	}
	return broken
}

func (c Channel) check(bundles map[string]bool) (broken []error) {
	fail := func(format string, args ...any) { broken = append(broken, fmt.Errorf(format, args...)) }
	if c.Package != PackageName {
		fail("it is of package %q; want %q", c.Package, PackageName)
	}
	entries := map[string]Entry{}
	for _, e := range c.Entries {
		if !bundles[e.Name] {
			fail("there is no bundle %s", e.Name)
		}
		if _, ok := entries[e.Name]; ok {
			fail("bundle %s is there twice", e.Name)
		}
		entries[e.Name] = e
	}
	heads := c.heads()
	if len(heads) != 1 {
		fail("the heads are %q; want one, a bundle that no other replaces or skips", heads)
		return broken
	}
	reached := map[string]bool{}
	for at := heads[0]; at != "" && !reached[at]; at = entries[at].Replaces {
		if _, ok := entries[at]; !ok {
			fail("%s is replaced, and is not in the channel", at)
		}
		reached[at] = true
		for _, skipped := range entries[at].Skips {
			reached[skipped] = true
		}
	}
	for _, e := range c.Entries {
		if !reached[e.Name] {
			fail("no way of upgrades leads from %s to %s", e.Name, heads[0])
		}
	}
	return broken
}

// checkBundle: the catalog says of the bundle what the bundle says of itself.
func (c *Catalog) checkBundle(b *Bundle) (broken []error) {
	fail := func(format string, args ...any) { broken = append(broken, fmt.Errorf(format, args...)) }
	i := slices.IndexFunc(c.Bundles, func(r Released) bool { return r.Name == b.CSV.Name })
	if i < 0 {
		fail("it is missing")
		return broken
	}
	if c.Bundles[i].Image == "" {
		fail("image is empty")
	}
	want, err := b.describe(c.Bundles[i].Image)
	if err != nil {
		return append(broken, err)
	}
	if got := c.Bundles[i].RelatedImages; !slices.Equal(got, want.RelatedImages) {
		fail("relatedImages are %v; want its own image and those of the CSV, %v", got, want.RelatedImages)
	}
	for _, p := range want.Properties {
		if !slices.ContainsFunc(c.Bundles[i].Properties, func(q Property) bool { return q.Type == p.Type && sameJSON(q.Value, p.Value) }) {
			fail("property %s is not what the bundle says", p.Type)
		}
	}
	if len(c.Bundles[i].Properties) != len(want.Properties) {
		fail("it has %d properties; want %d", len(c.Bundles[i].Properties), len(want.Properties))
	}
	defaultChannel := b.Annotations[factPrefix+"channel.default.v1"]
	if defaultChannel != c.Package.DefaultChannel {
		fail("its default channel is %q; want %q as in the catalog", defaultChannel, c.Package.DefaultChannel)
	}
	for _, name := range strings.Split(b.Annotations[factPrefix+"channels.v1"], ",") {
		if head, err := c.Head(name); err == nil && head != b.CSV.Name {
			fail("channel %s ends with %q; want this bundle, which says that it is in it", name, head)
		}
	}
	for _, channel := range c.Channels {
		for _, e := range channel.Entries {
			if e.Name == b.CSV.Name && channel.Name == defaultChannel && e.Replaces != b.CSV.Spec.Replaces {
				fail("in channel %s it replaces %q; want %q as in the CSV", channel.Name, e.Replaces, b.CSV.Spec.Replaces)
			}
		}
	}
	return broken
}

func sameJSON(a, b []byte) bool {
	x, err := decodeAny(a)
	y, err2 := decodeAny(b)
	return err == nil && err2 == nil && reflect.DeepEqual(x, y)
}
