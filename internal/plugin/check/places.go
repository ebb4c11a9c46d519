// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
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
}

// checkedPlace is one of them.
type checkedPlace struct {
	Location string            `json:"location"`
	Result   registry.Presence `json:"result"`
	Message  string            `json:"message,omitempty"`

	insecure bool
}

// placesOf lists where an image could be pulled from.
func placesOf(ref mirrors.Reference, res mirrors.Resolution) checkedImage {
	image := checkedImage{Image: ref.String(), Places: []checkedPlace{}}
	for _, s := range res.PullSources {
		place := checkedPlace{Location: s.Location, insecure: s.Insecure}
		if s.Location == ref.String() {
			place.Result = notAsked
		}
		image.Places = append(image.Places, place)
	}
	return image
}

// origin returns where the image would come from: the first place that has it, or the source, which is not asked.
func (i *checkedImage) origin() origin {
	for _, p := range i.Places {
		switch p.Result {
		case registry.Present:
			return fromMirror
		case notAsked:
			return fromSource
		}
	}
	return fromNowhere
}

var imageColumns = []metav1.TableColumnDefinition{
	{Name: "Image", Type: "string", Format: "name"},
	{Name: "Pull source", Type: "string"},
	{Name: "Result", Type: "string"},
	{Name: "Message", Type: "string", Priority: 1},
}

func imageRows(images []checkedImage, full bool) (rows [][]any) {
	short := func(location string) string {
		if name, digest, ok := strings.Cut(location, "@sha256:"); ok && !full && len(digest) > 12 {
			return name + "@sha256:" + digest[:12]
		}
		return location
	}
	for i := range images {
		if len(images[i].Places) == 0 {
			rows = append(rows, []any{short(images[i].Image), "<none>", string(refused), "<none>"})
		}
		for _, p := range images[i].Places {
			message := p.Message
			if message == "" {
				message = "<none>"
			}
			rows = append(rows, []any{short(images[i].Image), short(p.Location), string(p.Result), message})
		}
	}
	return rows
}
