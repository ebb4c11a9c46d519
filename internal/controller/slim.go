// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// Slim drops what nobody looks at of an object before it is cached: who owns which fields, and of a set all that [setChanged] passes over.
func Slim(object any) (any, error) {
	if set, ok := object.(*metav1.PartialObjectMetadata); ok && set.GroupVersionKind().GroupVersion() == configv1.GroupVersion {
		return slimWatched(set), nil
	}
	if o, err := meta.Accessor(object); err == nil { // else it tells that one was deleted
		o.SetManagedFields(nil)
	}
	return object, nil
}

func slimWatched(set *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	slim := &metav1.PartialObjectMetadata{TypeMeta: set.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Name: set.Name, UID: set.UID, ResourceVersion: set.ResourceVersion, Generation: set.Generation,
	}}
	for _, key := range counted {
		if value, ok := set.Annotations[key]; ok {
			metav1.SetMetaDataAnnotation(&slim.ObjectMeta, key, value)
		}
	}
	for _, f := range set.ManagedFields {
		if isOurStatus(f) {
			f.FieldsV1, f.Time = nil, nil // it counts that there is one
		}
		if isOfStatus(f) {
			slim.ManagedFields = append(slim.ManagedFields, f)
		}
	}
	return slim
}

func isOfStatus(f metav1.ManagedFieldsEntry) bool {
	return f.Subresource == "status"
}

func isOurStatus(f metav1.ManagedFieldsEntry) bool {
	return isOfStatus(f) && f.Manager == payload.FieldManager
}

// slimListed drops what nobody looks at of sets that were listed: who owns which fields of their status, and kubectl's copies of them.
func slimListed(sets []kinds.Set) {
	for i := range sets {
		delete(sets[i].GetAnnotations(), corev1.LastAppliedConfigAnnotation)
		sets[i].SetManagedFields(slices.Clip(slices.DeleteFunc(sets[i].GetManagedFields(), isOfStatus)))
	}
}
