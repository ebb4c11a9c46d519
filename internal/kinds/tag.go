// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package kinds

import (
	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Tag is ImageTagMirrorSet.
var Tag = &Kind{
	Kind:      mirrors.Kind{Name: configv1.KindImageTagMirrorSet, ShortName: "itms", Field: "imageTagMirrors", Mode: mirrors.ByTag},
	Resource:  "imagetagmirrorsets",
	newObject: func() Object { return &configv1.ImageTagMirrorSet{} },
	newList:   func() List { return &configv1.ImageTagMirrorSetList{} },
	read: func(object Object) ([]mirrors.SetEntry, *configv1.MirrorSetStatus) {
		set := object.(*configv1.ImageTagMirrorSet)
		entries := make([]mirrors.SetEntry, len(set.Spec.ImageTagMirrors))
		for i, e := range set.Spec.ImageTagMirrors {
			entries[i] = entry(e.Source, e.Mirrors, e.MirrorSourcePolicy)
		}
		return entries, &set.Status
	},
}
