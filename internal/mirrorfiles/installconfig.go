// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"fmt"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// installConfig is the install-config.yaml of OpenShift, as far as it is about mirrors, which are for digests only. The second
// field is what the first one was called before.
type installConfig struct {
	ImageDigestSources  []installSource `json:"imageDigestSources"`
	ImageContentSources []installSource `json:"imageContentSources"`
}

type installSource struct {
	Source       string         `json:"source"`
	Mirrors      []string       `json:"mirrors"`
	SourcePolicy mirrors.Policy `json:"sourcePolicy"`
}

// InstallConfigFields are those by which an install-config.yaml, or a part of one, is known.
var InstallConfigFields = []string{"imageDigestSources", "imageContentSources"}

// InstallConfig reads the mirrors of an install-config.yaml, in JSON.
func InstallConfig(data []byte) (*Content, error) {
	var file installConfig
	if _, err := Decode(data, &file); err != nil {
		return nil, err
	}
	c := &Content{}
	for i, list := range [][]installSource{file.ImageDigestSources, file.ImageContentSources} {
		for j, s := range list {
			if s.Source == "" {
				return nil, fmt.Errorf("%s[%d].source: required", InstallConfigFields[i], j)
			}
			c.add(mirrors.ByDigest, s.Source, s.Mirrors, s.SourcePolicy)
		}
	}
	return c, nil
}
