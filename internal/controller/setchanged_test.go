// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"crypto/rand"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func TestASetThatWasMadeAnewWhileNobodyWatchedHasChanged(t *testing.T) {
	object := func(uid types.UID, generation int64) *configv1.ImageDigestMirrorSet {
		return &configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: uid, Generation: generation, ResourceVersion: rand.Text()}}
	}
	annotated := func(key, value string) *configv1.ImageDigestMirrorSet {
		set := object("1", 1)
		set.Annotations = map[string]string{key: value}
		return set
	}
	for _, tt := range []struct {
		name     string
		old, now *configv1.ImageDigestMirrorSet
		want     bool
	}{
		{"a label", object("1", 1), object("1", 1), false},
		{"the spec", object("1", 1), object("1", 2), true},
		{"insecure mirrors", object("1", 1), annotated(mirrors.InsecureAnnotation, "m.com"), true},
		{"shadow mode", object("1", 1), annotated(mirrors.EnforcementAnnotation, "shadow"), true},
		{"shadow mode no more", annotated(mirrors.EnforcementAnnotation, "shadow"), object("1", 1), true},
		{"no insecure mirrors any more", annotated(mirrors.InsecureAnnotation, "m.com"), object("1", 1), true},
		{"another annotation", object("1", 1), annotated("example.com/owner", "me"), false},
		{"made anew", object("1", 1), object("2", 1), true},
	} {
		if got := setChanged(event.UpdateEvent{ObjectOld: tt.old, ObjectNew: tt.now}); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}
