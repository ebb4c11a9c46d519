// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/plugin/runtimes"
)

// otherMode is what counts for images of the repository that are named the other way.
type otherMode struct {
	// Mode is what those are named by: digest or tag.
	Mode string `json:"mode"`
	// PullSources are repositories, in the order in which they are tried; none where the pull is refused.
	PullSources []pullSource `json:"pullSources"`
}

// otherModeOf asks for the repository of an image by the other mode. It returns nil where no set changes how those are pulled.
func otherModeOf(ref mirrors.Reference, answer func(mirrors.Reference) runtimes.Answer) *otherMode {
	other := mirrors.Reference{Name: ref.Name, Mode: (mirrors.ByDigest | mirrors.ByTag) &^ ref.Mode}
	a := answer(other)
	if a.Rule == nil || !a.Blocked && len(a.Rule.MirrorsFor(other.Mode)) == 0 {
		return nil
	}
	if a.Rule.NoneServes(other.Mode) {
		a.PullSources = nil
	}
	return &otherMode{Mode: other.Mode.String(), PullSources: pullSourcesOf(a.PullSources)}
}

// say is for people.
func (o *otherMode) say() string {
	if len(o.PullSources) == 0 {
		return "refused, because no set names a usable mirror for " + o.Mode + "s"
	}
	return sayPlaces(o.PullSources)
}

// sayPlaces names places in the order in which they are tried, with what brought them.
func sayPlaces(sources []pullSource) string {
	places := make([]string, len(sources))
	for i, s := range sources {
		if places[i] = "the source"; len(s.Entries) > 0 {
			places[i] = s.Location + " (" + briefly(s.Entries) + ")"
		}
	}
	return strings.Join(places, ", then ")
}

// contentOf returns where what a tag names is pulled from: the mirrors for digests, the mirror where the tag was found, and the source
// unless it is blocked (T10).
func contentOf(a runtimes.Answer) []pullSource {
	all := pullSourcesOf(a.Content)
	before := len(all)
	if before > 0 && !a.Blocked {
		before-- // the source is the last
	}
	content := slices.Clone(all[:before])
	for _, s := range pullSourcesOf(a.TagMirrors) {
		if !slices.ContainsFunc(content, func(c pullSource) bool { return c.Location == s.Location }) {
			s.IfTagFound = true
			content = append(content, s)
		}
	}
	return append(content, all[before:]...)
}
