// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

// completeElsewhere looks at other places for what the deciding place of an image lacks. containerd asks each place in turn for every
// manifest and blob (N4); CRI-O and Podman stay where they found the first manifest.
func (j *judge) completeElsewhere(ctx context.Context, images []*checkedImage) {
	var open []*checkedImage
	for _, image := range images {
		if p := image.deciding(); p != nil && p.Result == registry.Incomplete {
			open = append(open, image)
		}
	}
	each(j.parallel, open, func(image *checkedImage) {
		p := image.deciding()
		switch {
		case !j.forwards():
			p.Message += "; CRI-O and Podman do not try another place for it"
		default:
			if image.elsewhere = j.elsewhere(ctx, image, p); image.elsewhere != fromNowhere {
				p.Message += "; containerd gets it from another place"
			}
		}
	})
}

// elsewhere returns where all that a place lacks comes from.
func (j *judge) elsewhere(ctx context.Context, image *checkedImage, lacking *checkedPlace) origin {
	ref, others := image.ref, image.Places
	if ref.Mode == mirrors.ByTag { // what a tag names is pulled by digest (T10)
		ref = mirrors.Reference{Name: ref.Name, Suffix: "@" + lacking.has, Mode: mirrors.ByDigest}
		others = j.placesOf(wanted{ref: ref}, j.index.Resolve(ref)).Places
	}
	from := fromMirror
	for _, part := range lacking.lacks {
		found := false
		for _, p := range others {
			repository := strings.TrimSuffix(p.Location, ref.Suffix)
			if p.Result == notAsked || part.CanBeElsewhere() && p.isOpen() && j.clientFor(p.isSource).HasPart(ctx, repository, p.insecure, part) {
				found = true
				if p.isSource {
					from = fromSource
				}
				break
			}
		}
		if !found || !part.CanBeElsewhere() {
			return fromNowhere
		}
	}
	return from
}

// isOpen reports whether a place can be asked.
func (p *checkedPlace) isOpen() bool {
	return p.Result != refused && !mirrors.Scope(p.Location).CannotExist()
}
