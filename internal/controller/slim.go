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

// Slim removes unused parts of an object before it is cached: the owners of fields, and everything in a set that [setChanged] ignores.
func Slim(object any) (any, error) {
	if set, ok := object.(*metav1.PartialObjectMetadata); ok && set.GroupVersionKind().GroupVersion() == configv1.GroupVersion {
		return slimWatched(set), nil
	}
	if o, err := meta.Accessor(object); err == nil { // otherwise it is a notice that an object was deleted
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
			f.FieldsV1, f.Time = nil, nil // only its presence counts
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

// slimListed removes unused parts of sets that were listed: the owners of the fields of their status, and kubectl's copies of the sets.
func slimListed(sets []kinds.Set) {
	for i := range sets {
		delete(sets[i].GetAnnotations(), corev1.LastAppliedConfigAnnotation)
		sets[i].SetManagedFields(slices.Clip(slices.DeleteFunc(sets[i].GetManagedFields(), isOfStatus)))
	}
}
