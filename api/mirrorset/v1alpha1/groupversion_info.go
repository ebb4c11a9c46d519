// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 has the MirrorNode resource of the mirrorset.io/v1alpha1 API: what each node says about itself.
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
	// GroupVersion is the group and version that the types of this package are served under.
	GroupVersion = schema.GroupVersion{Group: "mirrorset.io", Version: "v1alpha1"}

	// SchemeGroupVersion is GroupVersion, by the name that generated code knows it by.
	SchemeGroupVersion = GroupVersion

	// SchemeBuilder collects the functions that make the types known to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme makes the types of this package known to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &MirrorNode{}, &MirrorNodeList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
