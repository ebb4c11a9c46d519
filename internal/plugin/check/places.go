// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

// What is known of places that are not asked.
const (
	notAsked registry.Presence = "NotAsked" // it is the image's own source
	refused  registry.Presence = "Refused"  // there is no place
)

// origin is where an image would come from.
type origin string

// The origins.
const (
	fromMirror  origin = "Mirror"
	fromSource  origin = "Source"
	fromNowhere origin = "Nowhere"
)

// checkedImage is one image with all places that it could be pulled from, in order.
type checkedImage struct {
	Image  string         `json:"image"`
	From   origin         `json:"from"`
	Places []checkedPlace `json:"pullSources"`
	// TagDiffers says that not all places have the same by the tag.
	TagDiffers bool `json:"tagDiffers,omitempty"`

	mode mirrors.Mode
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
}

// placesOf lists where an image could be pulled from. The source is asked only where that is asked for.
func placesOf(ref mirrors.Reference, res mirrors.Resolution, askSource bool) checkedImage {
	image := checkedImage{Image: ref.String(), Places: []checkedPlace{}, mode: ref.Mode}
	for _, s := range res.PullSources {
		place := checkedPlace{Location: s.Location, isSource: s.Location == ref.String(), insecure: s.Insecure, from: s.From}
		if place.isSource && !askSource {
			place.Result = notAsked
		}
		image.Places = append(image.Places, place)
	}
	return image
}

// take notes what a place says of the image.
func (i *checkedImage) take(p *checkedPlace, a registry.Answer) {
	p.Result, p.Message = a.Presence, a.Message
	if i.mode == mirrors.ByTag {
		p.Digest = a.Digest
	}
}

// origin returns where the image would come from: the first place that has it, be it the source, which may not have been asked.
func (i *checkedImage) origin() origin {
	for _, p := range i.Places {
		switch {
		case p.isSource && (p.Result == notAsked || p.Result == registry.Present):
			return fromSource
		case p.Result == registry.Present:
			return fromMirror
		}
	}
	return fromNowhere
}

// columnsOf are those of a table of images. What a tag names is a column only where there are tags.
func columnsOf(images []checkedImage) []metav1.TableColumnDefinition {
	columns := []metav1.TableColumnDefinition{
		{Name: "Image", Type: "string", Format: "name"},
		{Name: "Pull source", Type: "string"},
		{Name: "Result", Type: "string"},
	}
	if haveTags(images) {
		columns = append(columns, metav1.TableColumnDefinition{Name: "Digest", Type: "string", Priority: 1})
	}
	return append(columns, metav1.TableColumnDefinition{Name: "Message", Type: "string", Priority: 1})
}

func haveTags(images []checkedImage) bool {
	return slices.ContainsFunc(images, func(i checkedImage) bool { return i.mode == mirrors.ByTag })
}

func imageRows(images []checkedImage, full bool) (rows [][]any) {
	short := func(location string) string {
		if name, digest, ok := strings.Cut(location, "@sha256:"); ok && !full && len(digest) > 12 {
			return name + "@sha256:" + digest[:12]
		}
		return location
	}
	tags := haveTags(images)
	for i := range images {
		places := images[i].Places
		if len(places) == 0 {
			places = []checkedPlace{{Location: "<none>", Result: refused}}
		}
		for _, p := range places {
			row := []any{short(images[i].Image), short(p.Location), string(p.Result)}
			if tags {
				row = append(row, cmp.Or(p.Digest, "<none>"))
			}
			rows = append(rows, append(row, cmp.Or(p.Message, "<none>")))
		}
	}
	return rows
}
