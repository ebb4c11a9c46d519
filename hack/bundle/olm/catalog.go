// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/blang/semver/v4"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// CatalogFile is where the catalog is.
const CatalogFile = "catalog/" + PackageName + "/catalog.yaml"

// The schemas of a catalog's parts.
const (
	schemaPackage = "olm.package"
	schemaChannel = "olm.channel"
	schemaBundle  = "olm.bundle"
)

// Catalog is a file-based catalog of one package.
type Catalog struct {
	Package  Package
	Channels []Channel
	Bundles  []Released
}

// Package is what is said of the operator as a whole.
type Package struct {
	Schema         string `json:"schema"`
	Name           string `json:"name"`
	DefaultChannel string `json:"defaultChannel"`
	Description    string `json:"description,omitempty"`
	Icon           any    `json:"icon,omitempty"`
}

// Channel is a line of upgrades.
type Channel struct {
	Schema  string  `json:"schema"`
	Package string  `json:"package"`
	Name    string  `json:"name"`
	Entries []Entry `json:"entries"`
}

// Entry is a bundle's place in a channel.
type Entry struct {
	Name     string   `json:"name"`
	Replaces string   `json:"replaces,omitempty"`
	Skips    []string `json:"skips,omitempty"`
}

// Released is a bundle as a catalog has it.
type Released struct {
	Schema        string         `json:"schema"`
	Package       string         `json:"package"`
	Name          string         `json:"name"`
	Image         string         `json:"image"`
	Properties    []Property     `json:"properties"`
	RelatedImages []RelatedImage `json:"relatedImages"`
}

// Property is something that OLM, or who shows a catalog to people, wants to know of a bundle.
type Property struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// ReadCatalog reads the parts of a catalog in whatever order. Nothing is a catalog too, of no release.
func ReadCatalog(content []byte) (*Catalog, error) {
	c := &Catalog{}
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		if err := c.read(document); err != nil {
			return nil, fmt.Errorf("%s: %w", CatalogFile, err)
		}
	}
}

func (c *Catalog) read(document []byte) error {
	var part struct{ Schema string }
	if err := yaml.Unmarshal(document, &part); err != nil {
		return err
	}
	switch part.Schema {
	case schemaPackage:
		if c.Package.Schema != "" {
			return fmt.Errorf("there are two parts of schema %s, and a catalog of one package has one", part.Schema)
		}
		return yaml.UnmarshalStrict(document, &c.Package)
	case schemaChannel:
		c.Channels = append(c.Channels, Channel{})
		return yaml.UnmarshalStrict(document, &c.Channels[len(c.Channels)-1])
	case schemaBundle:
		c.Bundles = append(c.Bundles, Released{})
		return yaml.UnmarshalStrict(document, &c.Bundles[len(c.Bundles)-1])
	}
	return fmt.Errorf("part %.40q: there is no schema %q; opm refuses a part without one, and so a comment before the first ---", document, part.Schema)
}

// Bytes is the catalog as text. It has no comment: opm takes one that ends with --- for a part without a schema.
func (c *Catalog) Bytes() ([]byte, error) {
	parts := []any{c.Package}
	for _, channel := range c.Channels {
		parts = append(parts, channel)
	}
	for _, bundle := range c.Bundles {
		parts = append(parts, bundle)
	}
	documents := make([][]byte, 0, len(parts))
	for _, part := range parts {
		document, err := yaml.Marshal(part)
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return bytes.Join(documents, []byte("---\n")), nil
}

// MakeRoom drops what is no release, and what is left in these channels of an earlier attempt at this version, so that it can be
// added there. In other channels the version keeps its place.
func (c *Catalog) MakeRoom(version semver.Version, channels []string) error {
	is := func(name string, what func(semver.Version) bool) bool {
		v, err := versionOf(name)
		return err == nil && what(v)
	}
	for i := range c.Channels {
		channel, asked := &c.Channels[i], slices.Contains(channels, c.Channels[i].Name)
		channel.Entries = slices.DeleteFunc(channel.Entries, func(e Entry) bool {
			return is(e.Name, unreleased) || asked && is(e.Name, version.Equals)
		})
		for _, e := range channel.Entries {
			if asked && is(e.Replaces, version.Equals) {
				return fmt.Errorf("%s: channel %s: %s replaces %s there, so it cannot be made again; give other CHANNELS, or a higher VERSION", CatalogFile, channel.Name, e.Name, e.Replaces)
			}
		}
	}
	c.Channels = slices.DeleteFunc(c.Channels, func(channel Channel) bool { return len(channel.Entries) == 0 })
	c.Bundles = slices.DeleteFunc(c.Bundles, func(b Released) bool { return is(b.Name, unreleased) || is(b.Name, version.Equals) })
	return nil
}

// Head is the bundle that a channel ends with, which is nothing in a channel that there is not yet.
func (c *Catalog) Head(channel string) (string, error) {
	i := slices.IndexFunc(c.Channels, func(c Channel) bool { return c.Name == channel })
	if i < 0 {
		return "", nil
	}
	heads := c.Channels[i].heads()
	if len(heads) != 1 {
		return "", fmt.Errorf("%s: channel %s has the heads %q, and wants one: a bundle that no other replaces or skips", CatalogFile, channel, heads)
	}
	return heads[0], nil
}

func (c Channel) heads() []string {
	followed := map[string]bool{}
	for _, e := range c.Entries {
		for _, name := range append(e.Skips, e.Replaces) {
			followed[name] = true
		}
	}
	var heads []string
	for _, e := range c.Entries {
		if !followed[e.Name] {
			heads = append(heads, e.Name)
		}
	}
	return heads
}

// DefaultChannel is the one of a catalog with these channels in addition to its own: stable, and before there is one the last of them.
func (c *Catalog) DefaultChannel(added []string) string {
	const stable = "stable"
	if slices.Contains(added, stable) || slices.ContainsFunc(c.Channels, func(c Channel) bool { return c.Name == stable }) {
		return stable
	}
	return added[len(added)-1]
}

// Add puts a bundle at the head of channels.
func (c *Catalog) Add(bundle *Bundle, image string, channels []string, defaultChannel string) error {
	for _, name := range channels {
		if err := c.enter(name, bundle.CSV.Name); err != nil {
			return err
		}
	}
	slices.SortFunc(c.Channels, func(a, b Channel) int { return strings.Compare(a.Name, b.Name) })
	released, err := bundle.describe(image)
	if err != nil {
		return err
	}
	c.Bundles = append(c.Bundles, released)
	c.Package = bundle.describePackage(defaultChannel)
	return nil
}

func (c *Catalog) enter(channel, name string) error {
	head, err := c.Head(channel)
	if err != nil {
		return err
	}
	version, err := versionOf(name)
	if err != nil {
		return err
	}
	if head != "" && !unreleased(version) { // what is no release follows a candidate of its version too, and goes before the next one
		if higher, err := isHigher(name, head); err != nil || !higher {
			return errors.Join(err, fmt.Errorf("%s: channel %s has %s at its head, which %s is no upgrade of; give other CHANNELS, or a higher VERSION", CatalogFile, channel, head, name))
		}
	}
	i := slices.IndexFunc(c.Channels, func(c Channel) bool { return c.Name == channel })
	if i < 0 {
		i = len(c.Channels)
		c.Channels = append(c.Channels, Channel{Schema: schemaChannel, Package: PackageName, Name: channel})
	}
	c.Channels[i].Entries = append(c.Channels[i].Entries, Entry{Name: name, Replaces: head})
	return nil
}

// isHigher compares the versions in two bundles' names.
func isHigher(name, than string) (bool, error) {
	a, err := versionOf(name)
	b, err2 := versionOf(than)
	return a.GT(b), errors.Join(err, err2)
}

// versionOf is that in a bundle's name.
func versionOf(name string) (semver.Version, error) {
	v, err := semver.Parse(strings.TrimPrefix(name, PackageName+".v"))
	if err != nil {
		return v, fmt.Errorf("bundle %q: its name wants to be %s.v and a version: %w", name, PackageName, err)
	}
	return v, nil
}

// unreleased reports whether a version is that of a tree between releases.
func unreleased(v semver.Version) bool {
	return len(v.Pre) > 0 && v.Pre[len(v.Pre)-1].VersionStr == "dev"
}
