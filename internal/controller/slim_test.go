// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// managed is an entry of metadata.managedFields.
func managed(manager, subresource, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &metav1.Time{Time: time.Unix(1, 0)}, FieldsV1: metav1.NewFieldsV1(fields)}
}

func TestWhatIsKeptOfAWatchedSetTellsEachChangeThatCounts(t *testing.T) {
	ours, someone := managed(payload.FieldManager, "status", `{"f:status":{}}`), managed("someone", "status", `{"f:status":{}}`)
	set := func(generation int64, annotations map[string]string, by ...metav1.ManagedFieldsEntry) *metav1.PartialObjectMetadata {
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: "a", UID: "1", ResourceVersion: "7", Generation: generation, Annotations: annotations, ManagedFields: by, Labels: map[string]string{"team": "x"},
		}}
		o.SetGroupVersionKind(kinds.Digest.GroupVersionKind())
		return o
	}
	for _, tt := range []struct {
		name     string
		old, now *metav1.PartialObjectMetadata
		want     bool
	}{
		{"nothing", set(1, nil, ours), set(1, nil, ours), false},
		{"the spec", set(1, nil), set(2, nil), true},
		{"an annotation that counts", set(1, nil), set(1, map[string]string{mirrors.EnforcementAnnotation: "shadow"}), true},
		{"another annotation", set(1, nil), set(1, map[string]string{corev1.LastAppliedConfigAnnotation: "{}"}), false},
		{"who owns the spec", set(1, nil, managed("a", "", "{}")), set(1, nil, managed("b", "", "{}")), false},
		{"our status", set(1, nil, ours), set(1, nil, managed(payload.FieldManager, "status", `{"f:status":{"f:x":{}}}`)), false},
		{"our status was taken away", set(1, nil, ours), set(1, nil), true},
		{"somebody else writes the status", set(1, nil, ours), set(1, nil, ours, someone), true},
		{"somebody else wrote it before", set(1, nil, ours, someone), set(1, nil, ours, someone), false},
		{"somebody else writes more of it", set(1, nil, ours, someone), set(1, nil, ours, managed("someone", "status", `{"f:status":{"f:x":{}}}`)), true},
	} {
		slim := func(o *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
			slim, err := Slim(o.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			return slim.(*metav1.PartialObjectMetadata)
		}
		if got := setChanged(event.UpdateEvent{ObjectOld: tt.old, ObjectNew: tt.now}); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
		if got := setChanged(event.UpdateEvent{ObjectOld: slim(tt.old), ObjectNew: slim(tt.now)}); got != tt.want {
			t.Errorf("%s, slim: %t, want %t", tt.name, got, tt.want)
		}
		if s := slim(tt.now); s.Name != "a" || s.ResourceVersion != "7" || s.Labels != nil || s.Annotations[corev1.LastAppliedConfigAnnotation] != "" || s.GroupVersionKind() != tt.now.GroupVersionKind() {
			t.Errorf("%s: %+v is kept", tt.name, s)
		}
	}
}

func TestOfOtherObjectsAllIsKeptButTheirManagers(t *testing.T) {
	node := &mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: map[string]string{"a": "b"}}}
	managedNode := node.DeepCopy()
	managedNode.ManagedFields = []metav1.ManagedFieldsEntry{managed("x", "", "{}")}
	if slim, err := Slim(managedNode); err != nil || !reflect.DeepEqual(slim, node) {
		t.Errorf("%+v, %v; want %+v", slim, err, node)
	}
}

func TestOfAListedSetWhoWroteItIsKept(t *testing.T) {
	spec := managed("jane", "", `{"f:spec":{}}`)
	set, err := kinds.Digest.Decode(func(into any) error {
		into.(*configv1.ImageDigestMirrorSet).ObjectMeta = metav1.ObjectMeta{
			Annotations:   map[string]string{corev1.LastAppliedConfigAnnotation: "{}", mirrors.InsecureAnnotation: "m.com"},
			ManagedFields: []metav1.ManagedFieldsEntry{managed(payload.FieldManager, "status", "{}"), spec},
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slimListed([]kinds.Set{set})
	if got, want := set.GetManagedFields(), []metav1.ManagedFieldsEntry{spec}; !reflect.DeepEqual(got, want) {
		t.Errorf("managers %+v, want %+v", got, want)
	}
	if got, want := set.GetAnnotations(), map[string]string{mirrors.InsecureAnnotation: "m.com"}; !reflect.DeepEqual(got, want) {
		t.Errorf("annotations %v, want %v", got, want)
	}
}
