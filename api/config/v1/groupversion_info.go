// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1 has the ImageDigestMirrorSet and ImageTagMirrorSet resources of the config.openshift.io/v1 API: the types that
// their CRDs are generated from.
//
// +kubebuilder:object:generate=true
// +groupName=config.openshift.io
package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version that the types of this package are served under.
	GroupVersion = schema.GroupVersion{Group: "config.openshift.io", Version: "v1"}

	// SchemeGroupVersion is GroupVersion, by the name that generated code knows it by.
	SchemeGroupVersion = GroupVersion

	// SchemeBuilder collects the functions that make the types known to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme makes the types of this package known to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &ImageDigestMirrorSet{}, &ImageDigestMirrorSetList{}, &ImageTagMirrorSet{}, &ImageTagMirrorSetList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// The kinds of sets, for what names objects by them.
const (
	KindImageDigestMirrorSet = "ImageDigestMirrorSet"
	KindImageTagMirrorSet    = "ImageTagMirrorSet"
)
