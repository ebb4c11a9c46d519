// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package kinds_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
)

func made(t *testing.T, name, uid string, generation int64) kinds.Set {
	t.Helper()
	sets, err := mirrorstest.Of(configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), Generation: generation}})
	if err != nil {
		t.Fatal(err)
	}
	return sets[0]
}

func TestTheDigestOfSetsIsOfTheirStatesInWhateverOrder(t *testing.T) {
	a, b := made(t, "a", "1", 1), made(t, "b", "2", 1)
	sets := []kinds.Set{b, a}
	digest := kinds.DigestOf(sets)
	if sets[0].GetName() != "b" {
		t.Error("the sets were sorted in place")
	}
	if kinds.DigestOf([]kinds.Set{a, b}) != digest {
		t.Error("the order counts")
	}
	other := made(t, "b", "2", 1)
	other.Kind = &kinds.Kind{Kind: mirrors.Kind{Name: "ImageTagMirrorSet"}}
	annotated, described := made(t, "b", "2", 1), made(t, "b", "2", 1)
	annotated.SetAnnotations(map[string]string{mirrors.InsecureAnnotation: "m.com"})
	described.SetAnnotations(map[string]string{"example.com/owner": "me", mirrors.InsecureAnnotation: "", mirrors.EnforcementAnnotation: ""})
	watching, enforced, otherwise, both := made(t, "b", "2", 1), made(t, "b", "2", 1), made(t, "b", "2", 1), made(t, "b", "2", 1)
	watching.SetAnnotations(map[string]string{mirrors.EnforcementAnnotation: "shadow"})
	enforced.SetAnnotations(map[string]string{mirrors.EnforcementAnnotation: "m.com"})
	otherwise.SetAnnotations(map[string]string{mirrors.InsecureAnnotation: "shadow"})
	both.SetAnnotations(map[string]string{mirrors.InsecureAnnotation: "m.com", mirrors.EnforcementAnnotation: "shadow"})
	if kinds.DigestOf([]kinds.Set{a, described}) != digest {
		t.Error("an annotation counts that says nothing")
	}
	seen := map[string]string{digest: "both"}
	for what, sets := range map[string][]kinds.Set{
		"none": nil, "one": {a}, "the other": {b}, "one changed": {a, made(t, "b", "2", 2)}, "one made anew": {a, made(t, "b", "3", 1)},
		"one of another kind": {a, other}, "one more": {a, b, other}, "one annotated": {a, annotated},
		"one in shadow mode": {a, watching}, "one with another value": {a, enforced}, "the same value of the other annotation": {a, otherwise}, "both annotations": {a, both},
	} {
		d := kinds.DigestOf(sets)
		if as, ok := seen[d]; ok {
			t.Errorf("%s and %s have the same digest", what, as)
		}
		seen[d] = what
	}
}

func TestEnforcedSetsAreTheSameWithoutShadowMode(t *testing.T) {
	sets, err := mirrorstest.Parse("a: s.com -> m.com [Never]\nb: t.com -> m.com [Never]")
	if err != nil {
		t.Fatal(err)
	}
	mirrorstest.Annotate(sets, "a", "m.com")
	mirrorstest.Enforce(sets, "a", "shadow")
	enforced := kinds.Enforced(sets)
	if got := enforced[0].GetAnnotations(); got[mirrors.EnforcementAnnotation] != "" || got[mirrors.InsecureAnnotation] != "m.com" {
		t.Errorf("annotations %v", got)
	}
	if sets[0].GetAnnotations()[mirrors.EnforcementAnnotation] != "shadow" {
		t.Error("the sets themselves were changed")
	}
	result := kinds.Merge(enforced, nil)
	if len(result.Rules) != 2 || !result.Rules[0].Blocked || !result.Rules[1].Blocked || !result.Rules[0].Mirrors[0].Insecure || len(result.Watched) > 0 {
		t.Errorf("%+v", result)
	}
}
