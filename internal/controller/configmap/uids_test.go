// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package configmap

import (
	"maps"
	"testing"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/plan"
)

func TestTheCRDsThatSetsCameFromAreWrittenDown(t *testing.T) {
	digests, tags := plan.Source{Kind: kinds.Digest.Name, UID: "1", Sets: 2}, plan.Source{Kind: kinds.Tag.Name, UID: "2", Sets: 1}
	none := func(s plan.Source) plan.Source {
		s.Sets = 0
		return s
	}
	for name, c := range map[string]struct {
		sources []plan.Source
		text    string
		read    map[string]string
	}{
		"digests alone, as ever": {[]plan.Source{digests, none(tags)}, "1", map[string]string{kinds.Digest.Name: "1"}},
		"both":                   {[]plan.Source{digests, tags}, "1,ImageTagMirrorSet=2", map[string]string{kinds.Digest.Name: "1", kinds.Tag.Name: "2"}},
		"tags alone":             {[]plan.Source{none(digests), tags}, "1,ImageTagMirrorSet=2,ImageDigestMirrorSet=", map[string]string{kinds.Tag.Name: "2"}},
		"none":                   {[]plan.Source{none(digests), none(tags)}, "1", map[string]string{kinds.Digest.Name: "1"}},
	} {
		if got := writeUIDs(c.sources); got != c.text || !maps.Equal(readUIDs(got), c.read) {
			t.Errorf("%s: wrote %q, read %v", name, got, readUIDs(got))
		}
	}
	if got := readUIDs(""); len(got) > 0 {
		t.Errorf("of nothing: read %v", got)
	}
}
