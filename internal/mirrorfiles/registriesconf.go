// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"go.podman.io/image/v5/pkg/sysregistriesv2"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Tables reads a registries.conf with its drop-ins, as the library of CRI-O and Podman has merged them.
func Tables(all []sysregistriesv2.Registry) *Content {
	c := &Content{Readers: true}
	for i := range all {
		c.addTable(&all[i], all)
	}
	return c
}

// Settings reads the other settings in one such file. The library also knows these settings, but they are not tables.
func Settings(text []byte) (*Content, error) {
	c := &Content{}
	var conf sysregistriesv2.V2RegistriesConf
	found, err := toml.Decode(string(text), &conf)
	if err != nil {
		return nil, err
	}
	isTable := func(key toml.Key) bool { return strings.EqualFold(key[0], "registry") }
	for _, key := range found.Keys() {
		if !isTable(key) {
			c.elsewhere("setting %q does not concern mirrors, and a set cannot hold it; keep it in a registries.conf", key[0])
		}
	}
	for _, key := range found.Undecoded() {
		if isTable(key) {
			c.ignore("unknown setting %q: CRI-O and Podman ignore it, and so does this conversion", key.String())
		}
	}
	return c, nil
}

func (c *Content) addTable(t *sysregistriesv2.Registry, all []sysregistriesv2.Registry) {
	if _, err := mirrors.ParseScopes([]string{t.Prefix}); err != nil {
		c.lose("source %q is left out: a set can name host[:port][/path] and *.host only", t.Prefix)
		return
	}
	places := map[mirrors.Mode][]string{mirrors.ByDigest: placesOf(t, mirrors.ByDigest), mirrors.ByTag: placesOf(t, mirrors.ByTag)}
	policy := mirrors.Policy("")
	if t.Blocked || isMoved(t) {
		policy = mirrors.NeverContactSource
	}
	switch err := sayable(t, slices.Concat(places[mirrors.ByDigest], places[mirrors.ByTag])); {
	case err != nil && t.Blocked:
		c.lose("source %q loses its mirrors, and stays blocked: %v; write its entry by hand", t.Prefix, err)
		clear(places)
	case err != nil:
		c.lose("source %q is left out: %v; write its entry by hand, or its images are pulled without a mirror", t.Prefix, err)
		clear(places)
		policy = ""
	}
	if policy != "" && len(places[mirrors.ByDigest]) == 0 && len(places[mirrors.ByTag]) == 0 {
		places[mirrors.ByDigest], places[mirrors.ByTag] = []string{Blocked}, []string{Blocked}
		c.ignore("source %q is blocked and has no mirror; %s, which cannot exist, stands in for one, because an entry without mirrors blocks nothing", t.Prefix, Blocked)
	}
	// Without an entry of a mode, the source would have what a broader one has (T4). In registries.conf it has nothing of it.
	narrow := slices.ContainsFunc(all, func(other sysregistriesv2.Registry) bool {
		return other.Prefix != t.Prefix && Encloses(other.Prefix, t.Prefix)
	})
	for _, mode := range []mirrors.Mode{mirrors.ByDigest, mirrors.ByTag} {
		switch {
		case len(places[mode]) > 0:
			c.add(mode, t.Prefix, places[mode], policy)
			c.Entries[len(c.Entries)-1].Blocks = t.Blocked
		case narrow:
			c.add(mode, t.Prefix, nil, "")
		}
	}
	c.insecureTable(t)
}

// isMoved reports whether the images are pulled from another location instead of the source.
func isMoved(t *sysregistriesv2.Registry) bool {
	return t.Location != "" && t.Location != t.Prefix
}

// Encloses reports whether the library of CRI-O and Podman finds a place below a prefix, with or without the port of its host (Q2).
func Encloses(prefix, place string) bool {
	host, _, hasPort := strings.Cut(mirrors.Scope(place).Host(), ":")
	outer := mirrors.Scope(prefix)
	return outer.Contains(mirrors.Scope(place)) || hasPort && outer.Contains(mirrors.Scope(host))
}

// sayable returns why a set cannot express a table.
func sayable(t *sysregistriesv2.Registry, places []string) error {
	for _, e := range append(slices.Clone(t.Mirrors), t.Endpoint) {
		if e.NamespaceProxy != "" {
			return fmt.Errorf("%q has namespace-proxy = %q, and a set cannot name a mirror with this setting", cmp.Or(e.Location, t.Prefix), e.NamespaceProxy)
		}
	}
	return check(t.Prefix, places)
}

// placesOf returns the mirrors that the library tries for references of a mode, and where the source was moved to.
func placesOf(t *sysregistriesv2.Registry, mode mirrors.Mode) (places []string) {
	skipped := map[mirrors.Mode]string{mirrors.ByDigest: sysregistriesv2.MirrorByTagOnly, mirrors.ByTag: sysregistriesv2.MirrorByDigestOnly}[mode]
	for _, m := range t.Mirrors {
		if m.PullFromMirror != skipped && (mode == mirrors.ByDigest || !t.MirrorByDigestOnly) && !slices.Contains(places, m.Location) {
			places = append(places, m.Location)
		}
	}
	if isMoved(t) && !slices.Contains(places, t.Location) {
		places = append(places, t.Location)
	}
	for !isMoved(t) && len(places) > 0 && places[len(places)-1] == t.Prefix { // it is asked last in any case
		places = places[:len(places)-1]
	}
	return places
}

func (c *Content) insecureTable(t *sysregistriesv2.Registry) {
	for _, e := range append(slices.Clone(t.Mirrors), t.Endpoint) {
		if place := e.Location; e.Insecure {
			if place == "" {
				place = t.Prefix
			}
			c.insecure(fmt.Sprintf("%q is insecure", place), place)
		}
	}
}
