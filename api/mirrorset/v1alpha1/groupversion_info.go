// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 contains the MirrorNode type of the mirrorset.io/v1alpha1 API: the report of each node about its
// rules.
//
// +kubebuilder:object:generate=true
// +groupName=mirrorset.io
// +kubebuilder:ac:generate=true
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the API group and version of the types in this package.
	GroupVersion = schema.GroupVersion{Group: "mirrorset.io", Version: "v1alpha1"}

	// SchemeGroupVersion is an alias of GroupVersion. Generated code uses this name.
	SchemeGroupVersion = GroupVersion

	// SchemeBuilder collects the functions that add the types to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &MirrorNode{}, &MirrorNodeList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
