// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// compareDigests says where places have other images by the tag than the one that a pull gets (T12).
func (i *checkedImage) compareDigests(stderr io.Writer) {
	var first *checkedPlace
	var from []mirrors.Entry
	var others []string
	for j := range i.Places {
		p := &i.Places[j]
		from = append(from, p.from...)
		switch {
		case p.Digest == "":
		case first == nil:
			first = p
		case p.Digest != first.Digest && p.Location != first.Location:
			others = append(others, p.Location+" has "+p.Digest)
		}
	}
	if len(others) == 0 {
		return
	}
	i.TagDiffers = true
	fmt.Fprintf(stderr, "warning: TagDiffers: %s: image %s: the first place that has the tag, %s, has %s, but %s\n",
		mirrors.Names(from), i.Image, first.Location, first.Digest, strings.Join(slices.Compact(others), ", and "))
}

// noteTagsOfPods says which images Pods name by tag that could come from a mirror by that tag. Only what runs of them is checked.
func noteTagsOfPods(stderr io.Writer, index *mirrors.Index, tags []mirrors.Reference) {
	var images []string
	for _, ref := range tags {
		if rule := index.Resolve(ref).Rule; rule != nil && len(rule.MirrorsFor(mirrors.ByTag)) > 0 {
			images = append(images, ref.String())
		}
	}
	if len(images) == 0 {
		return
	}
	slices.Sort(images)
	images = slices.Compact(images)
	const most = 10
	text := strings.Join(images[:min(len(images), most)], ", ")
	if more := len(images) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	fmt.Fprintf(stderr, "note: Pods name images by tag that have mirrors for tags: %s; only what runs was checked, by digest. To check a tag, name the image\n", text)
}
