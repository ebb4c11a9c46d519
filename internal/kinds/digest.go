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
