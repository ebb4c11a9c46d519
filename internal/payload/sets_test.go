// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/payload"
)

func TestTheDigestOfSetsIsOfTheirStatesInWhateverOrder(t *testing.T) {
	a := payload.SetState{Kind: "ImageDigestMirrorSet", Name: "a", UID: "1", Generation: 1}
	b := payload.SetState{Kind: "ImageDigestMirrorSet", Name: "b", UID: "2", Generation: 1}
	sets := []payload.SetState{b, a}
	digest := payload.DigestOfSets(sets)
	if !slices.Equal(sets, []payload.SetState{b, a}) {
		t.Error("the sets were sorted in place")
	}
	if payload.DigestOfSets([]payload.SetState{a, b}) != digest {
		t.Error("the order counts")
	}
	changed, again, other := b, b, b
	changed.Generation, again.UID, other.Kind = 2, "3", "ImageTagMirrorSet"
	seen := map[string]string{digest: "both"}
	for what, sets := range map[string][]payload.SetState{
		"none": nil, "one": {a}, "the other": {b}, "one changed": {a, changed}, "one made anew": {a, again}, "one of another kind": {a, other}, "one more": {a, b, other},
	} {
		d := payload.DigestOfSets(sets)
		if as, ok := seen[d]; ok {
			t.Errorf("%s and %s have the same digest", what, as)
		}
		seen[d] = what
	}
}

func TestAConfigMapSaysWhichSetsItsTextIsOf(t *testing.T) {
	p := payload.New(1, []byte("text"))
	p.Sets = payload.DigestOfSets(payload.StatesOf("ConfigMap", []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1", Generation: 1}}}))
	if p.Sets != payload.DigestOfSets([]payload.SetState{{Kind: "ConfigMap", Name: "a", UID: "1", Generation: 1}}) {
		t.Error("the state of an object is another than it says")
	}
	data, _, err := p.Data()
	if err != nil {
		t.Fatal(err)
	}
	got, err := payload.Read(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Annotations: p.Annotations()}, Data: data})
	if err != nil || got.Sets != p.Sets {
		t.Errorf("read %q, error %v; want %q", got.Sets, err, p.Sets)
	}
	without := payload.New(1, []byte("text")).Annotations()
	if _, ok := without[payload.SetsAnnotation]; ok {
		t.Errorf("a payload of which nobody knows the sets names some: %v", without)
	}
}
