// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// registry is one registry in the terms of containerd: whom it asks for the images, in order.
type registry struct {
	host string
	// endpoints end with the registry itself, unless it is never contacted.
	endpoints []endpoint
}

// endpoint is one place to ask.
type endpoint struct {
	// location is that of a mirror; for the registry itself, its host.
	location string
	// modes are those of the references that it is asked for.
	modes    mirrors.Mode
	rewrites []rewrite
}

const dockerHub = "docker.io"

// both are the references that an endpoint is asked for where nothing is said.
const both = mirrors.ByDigest | mirrors.ByTag

// addRegistry makes entries of a registry, or says why there are none.
func (c *Content) addRegistry(r registry) {
	entries, err := r.entries()
	if err != nil {
		c.leaveOut(r.host, err)
		return
	}
	if len(entries) == 0 {
		c.ignore("registry %q has no mirror other than itself, so the output has no entry for it", r.host)
	}
	c.Entries = append(c.Entries, entries...)
	for _, w := range r.rewrites() {
		if w.only {
			c.lose("registry %q: %s is about that repository alone; with the entry for %q, what is below it is asked for there too", r.host, w, below(r.host, w.from))
		}
	}
}

// rewrites are those of all endpoints, each once.
func (r registry) rewrites() (all []rewrite) {
	for _, e := range r.endpoints {
		for _, w := range e.rewrites {
			if !slices.Contains(all, w) {
				all = append(all, w)
			}
		}
	}
	return all
}

// leaveOut says that a registry has no entry, and that its images are then pulled from itself.
func (c *Content) leaveOut(host string, err error) {
	c.lose("registry %q is left out: %v; write its entry by hand, or its images are pulled without a mirror", host, err)
}

// entries returns those for the registry, and for each path below it that is rewritten.
func (r registry) entries() ([]Entry, error) {
	if scope := mirrors.Scope(r.host); scope.Path() != "" || scope.IsWildcard() {
		return nil, errors.New("containerd has mirrors only for whole registries, host[:port]")
	}
	for _, w := range r.rewrites() {
		if w.only && r.host == dockerHub && !strings.Contains(w.from, "/") {
			return nil, fmt.Errorf("%s %w, because it is called %q there", w, errNever, "library/"+w.from)
		}
	}
	never, err := r.neverContacted()
	if err != nil {
		return nil, err
	}
	policy := mirrors.Policy("")
	if never {
		policy = mirrors.NeverContactSource
	}
	var made Content
	for _, from := range r.paths() {
		source := below(r.host, from)
		digests, tags := r.places(mirrors.ByDigest, from), r.places(mirrors.ByTag, from)
		if never && len(digests) == 0 && len(tags) == 0 {
			digests, tags = []string{Blocked}, []string{Blocked}
		}
		if err := check(source, slices.Concat(digests, tags)); err != nil {
			return nil, err
		}
		if len(digests) > 0 {
			made.add(mirrors.ByDigest, source, digests, policy)
		}
		if len(tags) > 0 {
			made.add(mirrors.ByTag, source, tags, policy)
		}
	}
	return made.Entries, nil
}

// paths are those that some endpoint rewrites, and the empty one.
func (r registry) paths() []string {
	all := []string{""}
	for _, w := range r.rewrites() {
		all = append(all, w.from)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// neverContacted reports whether the registry itself is never among the places, for any image. A set has one policy for both digests and
// tags, and contacts a source, if it may, after all mirrors.
func (r registry) neverContacted() (bool, error) {
	var lasts []bool
	for _, mode := range []mirrors.Mode{mirrors.ByDigest, mirrors.ByTag} {
		asked := r.asked(mode)
		at := slices.IndexFunc(asked, r.isItself)
		last := len(asked) > 0 && r.isItself(asked[len(asked)-1])
		if at >= 0 && !last {
			return false, errors.New("the runtime contacts the registry itself before a mirror, and not after the last mirror")
		}
		lasts = append(lasts, last)
	}
	if lasts[0] != lasts[1] {
		return false, errors.New("the registry itself is contacted for images by digest or for those by tag, but not for both")
	}
	if at := slices.IndexFunc(r.endpoints, func(e endpoint) bool { return r.isItself(e) && len(e.rewrites) > 0 }); at >= 0 {
		return false, fmt.Errorf("%s also concerns the registry itself", r.endpoints[at].rewrites[0])
	}
	return !lasts[0], nil
}

func (r registry) isItself(e endpoint) bool {
	return e.location == r.host
}

func (r registry) asked(mode mirrors.Mode) []endpoint {
	return slices.DeleteFunc(slices.Clone(r.endpoints), func(e endpoint) bool { return e.modes&mode == 0 })
}

// places are the mirrors for one path, each once, without the registry itself at the end.
func (r registry) places(mode mirrors.Mode, from string) (places []string) {
	for _, e := range r.asked(mode) {
		place := e.location
		if at := slices.IndexFunc(e.rewrites, func(w rewrite) bool { return w.covers(from) && (!w.only || w.from == from) }); at >= 0 {
			place = below(place, e.rewrites[at].at(from))
		} else {
			place = below(place, from)
		}
		if !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	source := below(r.host, from)
	for len(places) > 0 && places[len(places)-1] == source {
		places = places[:len(places)-1]
	}
	return places
}

// readURL reads an address in the way of containerd: https:// where there is no scheme. No error of it has a secret in it.
func readURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("an endpoint is not a URL")
	case u.User != nil:
		return nil, errors.New("an endpoint has credentials in its URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("an endpoint is neither https:// nor http://")
	case u.Host == "":
		return nil, fmt.Errorf("endpoint %q has no host", text)
	}
	return u, nil
}

// locate returns the endpoint as a set names it, where root is that of its API.
func locate(registryHost string, u *url.URL, root string) (string, error) {
	rest, ok := strings.CutPrefix(path.Clean("/"+root), "/v2")
	if !ok || rest != "" && rest[0] != '/' {
		return "", fmt.Errorf("endpoint %q has its API at %q, but a set can name only mirrors with their API at /v2; make the mirror available as host/path there", u.Redacted(), root)
	}
	if rest == "" && isRegistryItself(registryHost, u.Host) {
		return registryHost, nil
	}
	return u.Host + rest, nil
}

// isRegistryItself knows the names of Docker Hub.
func isRegistryItself(registryHost, host string) bool {
	return host == registryHost || registryHost == dockerHub && slices.Contains([]string{"registry-1.docker.io", "index.docker.io"}, host)
}
