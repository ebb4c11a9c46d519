// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/name"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ParsePlatform reads one as OS/ARCH[/VARIANT].
func ParsePlatform(text string) (ocispec.Platform, error) {
	return platforms.Parse(text)
}

// Platform is one for people.
func Platform(p ocispec.Platform) string {
	return platforms.FormatAll(p)
}

// bestFor returns the manifest of an index that containerd takes on a machine: the best match by its rules for variants, otherwise one
// that does not say which platform it is for.
func bestFor(p ocispec.Platform, listed []ocispec.Descriptor) (best ocispec.Descriptor, ok bool) {
	match := platforms.Only(p)
	for _, d := range listed {
		if d.Platform != nil && match.Match(*d.Platform) && (!ok || match.Less(*d.Platform, *best.Platform)) {
			best, ok = d, true
		}
	}
	for _, d := range listed {
		if !ok && d.Platform == nil {
			best, ok = d, true
		}
	}
	return best, ok
}

func childOf(d ocispec.Descriptor) Part {
	if d.Platform == nil {
		return Part{Digest: d.Digest.String(), name: "the manifest"}
	}
	return Part{Digest: d.Digest.String(), name: "the manifest for " + Platform(*d.Platform)}
}

// child names a part of an image in the place that is visited.
func (v *visit) child(digest string) (name.Digest, error) {
	var options []name.Option
	if v.repository.Scheme() == "http" {
		options = append(options, name.Insecure)
	}
	return name.NewDigest(v.repository.Name()+"@"+digest, options...)
}
