// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"errors"
	"fmt"
	"slices"

	"go.podman.io/image/v5/pkg/sysregistriesv2"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Tables reads a registries.conf with its drop-ins, as the library of CRI-O and Podman has merged them.
func Tables(all []sysregistriesv2.Registry) *Content {
	c := &Content{}
	for i := range all {
		c.addTable(&all[i], all)
	}
	return c
}

func (c *Content) addTable(t *sysregistriesv2.Registry, all []sysregistriesv2.Registry) {
	digests, tags := placesOf(t, mirrors.ByDigest), placesOf(t, mirrors.ByTag)
	relocated := t.Location != "" && t.Location != t.Prefix
	policy := mirrors.Policy("")
	if relocated || t.Blocked {
		policy = mirrors.NeverContactSource
	}
	if policy != "" && len(digests) == 0 && len(tags) == 0 {
		digests, tags = []string{Blocked}, []string{Blocked}
		c.ignore("source %q is blocked and has no mirror; %s, which cannot exist, stands in for one, because an entry without mirrors blocks nothing", t.Prefix, Blocked)
	}
	_, err := mirrors.ParseScopes([]string{t.Prefix})
	switch {
	case err == nil && relocated && slices.Contains(append(digests, tags...), t.Prefix):
		err = errors.New("it was moved to another location, and is one of its own mirrors too")
	case err == nil:
		err = check(t.Prefix, slices.Concat(digests, tags))
	}
	if err != nil {
		c.lose("source %q is left out: %v; write its entry by hand, or its images are pulled without a mirror", t.Prefix, err)
		return
	}
	// Without an entry of a mode, the source would have what a broader one has (T4). In registries.conf it has nothing of it.
	narrow := slices.ContainsFunc(all, func(other sysregistriesv2.Registry) bool {
		return other.Prefix != t.Prefix && mirrors.Scope(other.Prefix).Contains(mirrors.Scope(t.Prefix))
	})
	for _, said := range []struct {
		mode   mirrors.Mode
		places []string
	}{{mirrors.ByDigest, digests}, {mirrors.ByTag, tags}} {
		switch {
		case len(said.places) > 0:
			c.add(said.mode, t.Prefix, said.places, policy)
		case narrow:
			c.add(said.mode, t.Prefix, nil, "")
		}
	}
	c.insecureTable(t)
}

// placesOf returns the mirrors that the library tries for references of a mode, and where the source was moved to.
func placesOf(t *sysregistriesv2.Registry, mode mirrors.Mode) (places []string) {
	skipped := map[mirrors.Mode]string{mirrors.ByDigest: sysregistriesv2.MirrorByTagOnly, mirrors.ByTag: sysregistriesv2.MirrorByDigestOnly}[mode]
	for _, m := range t.Mirrors {
		if m.PullFromMirror != skipped && (mode == mirrors.ByDigest || !t.MirrorByDigestOnly) && !slices.Contains(places, m.Location) {
			places = append(places, m.Location)
		}
	}
	if t.Location != "" && t.Location != t.Prefix && !slices.Contains(places, t.Location) {
		places = append(places, t.Location)
	}
	if t.Blocked { // the library refuses it, wherever it stands
		return slices.DeleteFunc(places, func(place string) bool { return place == t.Prefix })
	}
	for len(places) > 0 && places[len(places)-1] == t.Prefix {
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
