// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"slices"
	"strings"

	"go.podman.io/image/v5/docker/reference"
)

// Reference is an image reference in the runtimes' canonical form (L2a).
type Reference struct {
	// Name is the repository with its registry, as in docker.io/library/alpine.
	Name string
	// Suffix is what names the image in the repository: "@sha256:..." or ":tag".
	Suffix string
	// Mode is that of the suffix: only mirrors of this mode are used. It is 0 for a name alone, which has no mirrors.
	Mode Mode
}

// ParseReference parses an image reference in any form that the runtimes accept. It completes Docker Hub's short names, uses "latest" for a
// missing tag, and drops a tag that accompanies a digest.
func ParseReference(image string) (Reference, error) {
	if ref, ok := readCanonical(image); ok {
		return ref, nil
	}
	return normalize(image)
}

// normalize reads a reference in any form by the runtimes' own parser.
func normalize(image string) (Reference, error) {
	named, err := reference.ParseDockerRef(image)
	if err != nil {
		return Reference{}, fmt.Errorf("image %s: %w", quote(image), err)
	}
	ref := Reference{Name: named.Name(), Suffix: named.String()[len(named.Name()):], Mode: ByTag}
	if _, byDigest := named.(reference.Canonical); byDigest {
		ref.Mode = ByDigest
	}
	return ref, nil
}

// String returns the full reference.
func (r Reference) String() string {
	return r.Name + r.Suffix
}

// PullSource is one place that an image is pulled from.
type PullSource struct {
	// Location is a full reference.
	Location string
	// Insecure allows plain HTTP and skips certificate checks.
	Insecure bool
	// From are the entries that brought it; none for the source that the reference itself names.
	From []Entry
}

// Resolution is where one image comes from.
type Resolution struct {
	// Rule is the one that decides; nil where no source matches.
	Rule *Rule
	// Blocked means that the source is not contacted. Without pull sources the pull is refused.
	Blocked bool
	// PullSources are tried in this order.
	PullSources []PullSource
	// Fails is why the pull fails before any pull source is tried. It is empty where it does not.
	Fails string
}

// Resolve returns where an image is pulled from (section 3). It passes over mirrors that this reference cannot be rewritten to, and mirrors
// in a blocked source (Q4).
func (x *Index) Resolve(ref Reference) Resolution {
	self := PullSource{Location: ref.String()}
	rule := x.Find(Scope(ref.Name))
	if rule == nil {
		return Resolution{PullSources: []PullSource{self}}
	}
	self.Insecure = rule.Insecure
	res := Resolution{Rule: rule, Blocked: rule.Blocked, PullSources: make([]PullSource, 0, len(rule.Mirrors)+1)}
	for i := range rule.Mirrors {
		if m := &rule.Mirrors[i]; m.Modes&ref.Mode != 0 {
			if source, ok := x.rewrite(ref, rule, m); ok {
				res.PullSources = append(res.PullSources, source)
			}
		}
	}
	if !rule.Blocked {
		res.PullSources = append(res.PullSources, self)
	}
	return res
}

// rewrite replaces the part of the reference that the rule's source matched by the mirror (L3).
func (x *Index) rewrite(ref Reference, rule *Rule, m *Mirror) (PullSource, bool) {
	location := string(m.Location) + rule.Source.Rest(Scope(ref.Name)) + ref.Suffix
	name := Scope(strings.TrimSuffix(location, ref.Suffix))
	if !isCanonical(name) {
		return PullSource{}, false
	}
	if by := x.Find(name); by != nil && by.Blocked {
		return PullSource{}, false
	}
	return PullSource{Location: location, Insecure: m.Insecure, From: m.listedFor(ref.Mode)}, true
}

// listedFor returns the entries that list the mirror for references of a mode.
func (m *Mirror) listedFor(mode Mode) []Entry {
	isOther := func(e Entry) bool { return e.Kind.Mode != mode }
	if !slices.ContainsFunc(m.From, isOther) {
		return slices.Clip(m.From)
	}
	return slices.DeleteFunc(slices.Clone(m.From), isOther)
}
