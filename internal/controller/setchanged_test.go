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
)

func TestASetThatWasMadeAnewWhileNobodyWatchedHasChanged(t *testing.T) {
	object := func(uid types.UID, generation int64) *configv1.ImageDigestMirrorSet {
		return &configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: uid, Generation: generation, ResourceVersion: rand.Text()}}
	}
	for _, tt := range []struct {
		name     string
		old, now *configv1.ImageDigestMirrorSet
		want     bool
	}{
		{"a label", object("1", 1), object("1", 1), false},
		{"the spec", object("1", 1), object("1", 2), true},
		{"made anew", object("1", 1), object("2", 1), true},
	} {
		if got := setChanged(event.UpdateEvent{ObjectOld: tt.old, ObjectNew: tt.now}); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}
