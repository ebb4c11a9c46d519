// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package kinds

import (
	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Digest is ImageDigestMirrorSet.
var Digest = &Kind{
	Kind:      mirrors.Kind{Name: configv1.KindImageDigestMirrorSet, ShortName: "idms", Field: "imageDigestMirrors", Mode: mirrors.ByDigest},
	Resource:  "imagedigestmirrorsets",
	newObject: func() Object { return &configv1.ImageDigestMirrorSet{} },
	newList:   func() List { return &configv1.ImageDigestMirrorSetList{} },
	read: func(object Object) ([]mirrors.SetEntry, *configv1.MirrorSetStatus) {
		set := object.(*configv1.ImageDigestMirrorSet)
		entries := make([]mirrors.SetEntry, len(set.Spec.ImageDigestMirrors))
		for i, e := range set.Spec.ImageDigestMirrors {
			entries[i] = entry(e.Source, e.Mirrors, e.MirrorSourcePolicy)
		}
		return entries, &set.Status
	},
}

// entry is what an entry of any kind says.
func entry(source string, places []configv1.ImageMirror, policy configv1.MirrorSourcePolicy) mirrors.SetEntry {
	e := mirrors.SetEntry{Source: source, Policy: mirrors.Policy(policy)}
	for _, m := range places {
		e.Mirrors = append(e.Mirrors, string(m))
	}
	return e
}
