// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"io"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

// compareDigests says where places have other images by the tag than the first one that has it (T12). A pull gets the tag of that one
// only where each place before it has said that it has it not.
func (i *checkedImage) compareDigests(stderr io.Writer) {
	var first *checkedPlace
	var from []mirrors.Entry
	var others, unknown []string
	named := make(map[string]bool)
	for j := range i.Places {
		p := &i.Places[j]
		from = append(from, p.from...)
		again := named[p.Location]
		named[p.Location] = true
		switch {
		case again:
		case p.Digest != "" && first == nil:
			first = p
		case p.Digest != "" && p.Digest != first.Digest:
			others = append(others, p.Location+" has "+p.Digest)
		case first == nil && p.Result == notAsked:
			unknown = append(unknown, p.Location+" was not contacted")
		case first == nil && p.Result == registry.NoAnswer:
			unknown = append(unknown, p.Location+" did not answer")
		}
	}
	if len(others) == 0 {
		return
	}
	i.TagDiffers = true
	text := fmt.Sprintf("the first place that has the tag, %s, has %s", first.Location, first.Digest)
	if len(unknown) > 0 {
		text = fmt.Sprintf("%s has %s", first.Location, first.Digest)
	}
	text += ", but " + strings.Join(others, ", and ")
	if len(unknown) > 0 {
		text += "; the image that a pull gets is unknown, because an earlier place may have the tag: " + strings.Join(unknown, ", and ")
	}
	fmt.Fprintf(stderr, "warning: TagDiffers: %s: image %s: %s\n", mirrors.Names(from), i.Image, text)
}
