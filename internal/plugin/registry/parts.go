// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// Part is a part of an image that a place does not have.
type Part struct {
	// Digest names it; empty where an index lists nothing for a platform.
	Digest string

	blob bool
	name string // for people
	why  string // empty where the place says that it is not there
}

// CanBeElsewhere reports whether another place could have the part. Where an index lists nothing for a platform, none can; and once a
// part got no answer, the parts behind it are not known.
func (p Part) CanBeElsewhere() bool {
	return p.Digest != "" && p.why == ""
}

// String is the part for people.
func (p Part) String() string {
	text := p.name
	if p.Digest != "" {
		text += " " + p.Digest
	}
	if p.why != "" {
		text += " (" + p.why + ")"
	}
	return text
}

// sayLacks names the first parts, and counts the others.
func sayLacks(parts []Part) string {
	said := make([]string, len(parts))
	for i, p := range parts {
		said[i] = p.String()
	}
	return "it lacks " + output.FirstOf(said, 3)
}

// deepest is how many indexes may be nested. Runtimes take two.
const deepest = 4

// lacks returns the parts of an image that are not there.
func (v *visit) lacks(ctx context.Context, top manifest) []Part {
	s := survey{visit: v, asked: make(map[string]bool)}
	s.look(ctx, top, 0)
	return s.missing
}

// survey asks for the parts of one image, each once. It ends with the first one that there is no answer about.
type survey struct {
	*visit

	asked   map[string]bool
	missing []Part
	over    bool
}

func (s *survey) look(ctx context.Context, m manifest, depth int) {
	if !m.isIndex {
		s.lookAtBlobs(ctx, m.content)
		return
	}
	children, missing := s.needed(m.content.Manifests)
	s.missing = append(s.missing, missing...)
	for _, c := range children {
		if s.over || s.asked[c.Digest] {
			continue
		}
		s.asked[c.Digest] = true
		ref, err := s.child(c.Digest)
		if err == nil {
			var found manifest
			if found, err = s.manifest(ctx, ref); err == nil && found.isIndex && depth == deepest {
				err = errors.New("too many indexes are nested")
			} else if err == nil {
				s.look(ctx, found, depth+1)
			}
		}
		s.note(c, isMissing(err), err)
	}
}

// lookAtBlobs asks for config and layers. The content of a manifest names none where they are not needed.
func (s *survey) lookAtBlobs(ctx context.Context, c content) {
	if !s.Layers {
		return
	}
	blobs := []Part{{Digest: c.Config.Digest.String(), name: "the config"}}
	for _, layer := range c.Layers {
		blobs = append(blobs, Part{Digest: layer.Digest.String(), name: "the layer"})
	}
	for _, layer := range c.FSLayers {
		blobs = append(blobs, Part{Digest: layer.BlobSum, name: "the layer"})
	}
	for _, b := range blobs {
		if s.over || b.Digest == "" || s.asked[b.Digest] {
			continue
		}
		s.asked[b.Digest] = true
		b.blob = true
		err := s.blob(ctx, b.Digest)
		var status *transport.Error
		s.note(b, errors.As(err, &status) && status.StatusCode == http.StatusNotFound, err)
	}
}

// note takes the answer about a part.
func (s *survey) note(p Part, missing bool, err error) {
	if err == nil {
		return
	}
	if !missing {
		p.why, s.over = s.why(err), true
	}
	s.missing = append(s.missing, p)
}

// blob asks for a config or a layer, with HEAD, and with GET where that leaves it open. Its content is not read.
func (v *visit) blob(ctx context.Context, digest string) error {
	ref, err := v.child(digest)
	if err != nil {
		return err
	}
	return v.within(ctx, func(ctx context.Context) error {
		layer, err := v.puller.Layer(ctx, ref)
		if err != nil {
			return err
		}
		_, err = layer.Size()
		var status *transport.Error
		if !errors.As(err, &status) {
			return err
		}
		body, err := layer.Compressed()
		if err != nil {
			return err
		}
		_ = body.Close() // that it was not read to the end is no error here
		return nil
	})
}

// needed returns the manifests of an index that pulls need, and says for which platforms it lists none.
func (c *Client) needed(listed []ocispec.Descriptor) (children, missing []Part) {
	if len(c.Platforms) == 0 {
		for _, d := range listed {
			if d.Platform == nil || d.Platform.OS != "unknown" { // what build tools attest is no image
				children = append(children, childOf(d))
			}
		}
		if len(children) == 0 {
			missing = append(missing, Part{name: "all manifests: its index lists none"})
		}
		return children, missing
	}
	for _, p := range c.Platforms {
		if d, ok := bestFor(p, listed); ok {
			children = append(children, childOf(d))
		} else {
			missing = append(missing, Part{name: "a manifest for " + Platform(p) + ": its index lists none"})
		}
	}
	return children, missing
}
