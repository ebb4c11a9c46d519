// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

// The results of places that are not contacted.
const (
	notAsked registry.Presence = "NotAsked" // it is the image's own source
	refused  registry.Presence = "Refused"  // the source is blocked, and no mirror is asked
	invalid  registry.Presence = "Invalid"  // what a Pod names is no image
)

// origin is where an image would come from.
type origin string

// The origins.
const (
	fromMirror  origin = "Mirror"
	fromSource  origin = "Source"
	fromNowhere origin = "Nowhere"
)

func (o origin) isWorseThan(other origin) bool {
	order := []origin{fromMirror, fromSource, fromNowhere}
	return slices.Index(order, o) > slices.Index(order, other)
}

// checkedImage is one image with all places that it could be pulled from, in order.
type checkedImage struct {
	Image string `json:"image"`
	From  origin `json:"from"`
	// Before is where it comes from without the sets of --what-if.
	Before origin `json:"before,omitempty"`
	// Pods are those that name it, as namespace/name.
	Pods   []string       `json:"pods,omitempty"`
	Places []checkedPlace `json:"pullSources"`
	// Message says why there is no place.
	Message string `json:"message,omitempty"`
	// TagDiffers says that not all places have the same by the tag.
	TagDiffers bool `json:"tagDiffers,omitempty"`

	ref     mirrors.Reference
	invalid bool
	// byReaders is the image as CRI-O and Podman pull it, where that may differ and they may be there.
	byReaders *checkedImage
	// elsewhere is where that comes from which the deciding place lacks.
	elsewhere origin
}

// checkedPlace is one of them.
type checkedPlace struct {
	Location string            `json:"location"`
	Result   registry.Presence `json:"result"`
	Message  string            `json:"message,omitempty"`
	// Digest is what the place has by the image's tag.
	Digest string `json:"digest,omitempty"`

	isSource bool // the one that the image's own reference names
	insecure bool
	from     []mirrors.Entry
	has      string // the digest of what is there
	lacks    []registry.Part
}

// whyRefused says why a blocked source leaves no place for an image.
func whyRefused(ref mirrors.Reference, rule *mirrors.Rule) string {
	text := fmt.Sprintf("source %q is blocked by %s", string(rule.Source), mirrors.Names(rule.BlockedBy))
	switch {
	case rule.NoneServes(ref.Mode):
		return fmt.Sprintf("source %q is blocked by %s, and no mirror can serve it", string(rule.Source), mirrors.Names(rule.BlockedBy))
	case len(rule.MirrorsFor(ref.Mode)) == 0:
		return text + fmt.Sprintf(", and no set names a mirror for its %ss", ref.Mode)
	}
	return text + ", and none of its mirrors can be used for this image"
}

// take notes what a place says of the image.
func (i *checkedImage) take(p *checkedPlace, a registry.Answer) {
	p.Result, p.Message, p.has, p.lacks = a.Presence, a.Message, a.Digest, a.Lacks
	if i.ref.Mode == mirrors.ByTag {
		p.Digest = a.Digest
	}
}

// origin returns where the image would come from: the first place that has it. That can be the source, which may not have been contacted. The
// first place that has its manifest decides, and what it lacks of the image has to come from elsewhere.
func (i *checkedImage) origin() origin {
	switch p := i.deciding(); {
	case p == nil:
		return fromNowhere
	case p.Result == registry.Incomplete:
		return cmp.Or(i.elsewhere, fromNowhere)
	case p.isSource:
		return fromSource
	}
	return fromMirror
}

// deciding returns the first place that has the image's manifest, or may have it; nil where there is none.
func (i *checkedImage) deciding() *checkedPlace {
	at := slices.IndexFunc(i.Places, func(p checkedPlace) bool {
		return p.Result == registry.Present || p.Result == registry.Incomplete || p.Result == notAsked
	})
	if at < 0 {
		return nil
	}
	return &i.Places[at]
}
