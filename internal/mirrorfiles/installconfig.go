// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// ContentSource is an entry of OpenShift's older kinds, whose mirrors are for digests only.
type ContentSource struct {
	Source  string   `json:"source"`
	Mirrors []string `json:"mirrors"`
}

// digestSource is one of the newer ones.
type digestSource struct {
	ContentSource
	SourcePolicy mirrors.Policy `json:"sourcePolicy"`
}

// installConfig is the install-config.yaml of OpenShift, as far as it is about mirrors. The second field is what the first one was called
// before.
type installConfig struct {
	ImageDigestSources  []digestSource  `json:"imageDigestSources"`
	ImageContentSources []ContentSource `json:"imageContentSources"`
}

// InstallConfigFields are the fields that identify an install-config.yaml, or a part of one.
var InstallConfigFields = []string{"imageDigestSources", "imageContentSources"}

// InstallConfig reads the mirrors of an install-config.yaml, in JSON.
func InstallConfig(data []byte) (*Content, error) {
	var file installConfig
	unknown, err := Decode(data, &file)
	if err != nil {
		return nil, err
	}
	c := &Content{Readers: true}
	c.ignoreInInstallConfig(data, unknown)
	for i, s := range file.ImageDigestSources {
		at := fmt.Sprintf("%s[%d]", InstallConfigFields[0], i)
		switch s.SourcePolicy {
		case "", mirrors.AllowContactingSource, mirrors.NeverContactSource:
			c.addSource(at, s.ContentSource, s.SourcePolicy)
		default:
			c.lose("%s: source %s is left out: its sourcePolicy %s is neither %s nor %s", at, value.Quote(s.Source), value.Quote(s.SourcePolicy), mirrors.NeverContactSource, mirrors.AllowContactingSource)
		}
	}
	for i, s := range file.ImageContentSources {
		c.addSource(fmt.Sprintf("%s[%d]", InstallConfigFields[1], i), s, "")
	}
	return c, nil
}

// ignoreInInstallConfig notes the unknown fields next to those of mirrors, and fields that may be a misspelling of one of these. All other
// fields are about something else.
func (c *Content) ignoreInInstallConfig(data []byte, unknown []string) {
	for _, field := range unknown {
		if slices.ContainsFunc(InstallConfigFields, func(name string) bool { return strings.Contains(field, `"`+name+"[") }) {
			c.ignore("%s: the installer of OpenShift ignores it, and so does this conversion; the fields are source, mirrors and, in %s, sourcePolicy", field, InstallConfigFields[0])
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return // it was read before
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		lower := strings.ToLower(field)
		if !slices.Contains(InstallConfigFields, field) && (strings.Contains(lower, "digestsource") || strings.Contains(lower, "contentsource")) {
			c.ignore("unknown field %q: the installer of OpenShift ignores it, and so does this conversion; the fields with mirrors are %s", field, strings.Join(InstallConfigFields, " and "))
		}
	}
}

// ContentSources reads the entries of an ImageContentSourcePolicy. at is where their list stands.
func ContentSources(at string, all []ContentSource) *Content {
	c := &Content{Readers: true}
	for i, s := range all {
		c.addSource(fmt.Sprintf("%s[%d]", at, i), s, "")
	}
	return c
}

// addSource takes an entry without what no API server takes. One without mirrors does nothing in OpenShift, and would switch off those of a
// broader source in a set.
func (c *Content) addSource(at string, s ContentSource, policy mirrors.Policy) {
	switch {
	case s.Source == "":
		c.lose("%s is left out: it has no source", at)
		return
	case !value.Source.Takes(s.Source):
		c.lose("%s: source %s is left out: %s", at, value.Quote(s.Source), value.Wrong(s.Source, value.Source))
		return
	case len(s.Mirrors) == 0:
		c.ignore("%s: source %q has no mirror and no effect, so there is no entry for it", at, s.Source)
		return
	}
	var places []string
	for i, place := range s.Mirrors {
		at := fmt.Sprintf("%s.mirrors[%d]", at, i)
		switch err := check(s.Source, []string{place}); {
		case err != nil:
			c.lose("%s is left out: %v", at, err)
		case slices.Contains(places, place):
			c.ignore("%s: mirror %q of source %q is listed twice and counts once", at, place, s.Source)
		default:
			places = append(places, place)
		}
	}
	if len(places) == 0 {
		c.lose("%s: source %q: no mirror is left, so there is no entry for it", at, s.Source)
		return
	}
	c.add(mirrors.ByDigest, s.Source, places, policy)
	c.Entries[len(c.Entries)-1].Blocks = true
}
