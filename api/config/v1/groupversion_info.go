// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1 contains the ImageDigestMirrorSet and ImageTagMirrorSet types of the config.openshift.io/v1 API. Their
// CRDs are generated from these types.
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
	// GroupVersion is the API group and version of the types in this package.
	GroupVersion = schema.GroupVersion{Group: "config.openshift.io", Version: "v1"}

	// SchemeGroupVersion is an alias of GroupVersion. Generated code uses this name.
	SchemeGroupVersion = GroupVersion

	// SchemeBuilder collects the functions that add the types to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &ImageDigestMirrorSet{}, &ImageDigestMirrorSetList{}, &ImageTagMirrorSet{}, &ImageTagMirrorSetList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// The kinds of sets, for code that needs the name of a kind.
const (
	KindImageDigestMirrorSet = "ImageDigestMirrorSet"
	KindImageTagMirrorSet    = "ImageTagMirrorSet"
)
