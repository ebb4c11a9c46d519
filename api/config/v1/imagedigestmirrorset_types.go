// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageDigestMirrorSet lists where images that are named by digest may come from instead of the registry in their
// reference. All sets of a cluster are merged: the most specific source that matches an image decides alone, and the
// mirrors that several sets give for one source are joined in an order that keeps each set's own.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=imagedigestmirrorsets,singular=imagedigestmirrorset,scope=Cluster,shortName=idms
// +kubebuilder:subresource:status
type ImageDigestMirrorSet struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec holds the mirror rules of this set.
	// +required
	Spec ImageDigestMirrorSetSpec `json:"spec"` //nolint:kubeapilinter // required upstream, and may be empty

	// status is what the cluster made of this set.
	// +optional
	Status ImageDigestMirrorSetStatus `json:"status,omitempty"` //nolint:kubeapilinter // an object without fields upstream
}

// ImageDigestMirrorSetSpec is what an administrator asks for.
type ImageDigestMirrorSetSpec struct {
	// imageDigestMirrors are the rules, one a source. A rule applies to references by digest; a pull by tag goes to
	// the source. Only the rules with the most specific matching source are used for an image, so a rule for
	// quay.io/libpod/busybox replaces, for that repository, whatever is said about quay.io/libpod. Rules with equal
	// sources, here or in other sets, are merged: lists "a, b, c" and "c, d, e" become "a, b, c, d, e". Lists that
	// contradict each other are accepted; give one list where the order matters.
	// +optional
	// +listType=atomic
	ImageDigestMirrors []ImageDigestMirrors `json:"imageDigestMirrors,omitempty"`
}

// ImageDigestMirrors is one rule: a source, and the mirrors that stand in for it.
type ImageDigestMirrors struct {
	// source is the part of image references that this rule is about: a registry host with an optional port, a
	// namespace or a repository below it, or "*." and a host for all of that host's subdomains.
	// +required
	// +kubebuilder:validation:Pattern=`^(?:\*(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)+|[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)$`
	Source string `json:"source"` //nolint:kubeapilinter // the pattern allows no empty string

	// mirrors are tried in this order before the source. Each replaces the part of the reference that the source
	// matched: with source *.redhat.io and mirror mirror.local/redhat, registry.redhat.io/product/repo is looked for at
	// mirror.local/redhat/product/repo. Without any, images of this source come from where their reference says,
	// whatever a broader source has for mirrors.
	// +optional
	// +listType=set
	Mirrors []ImageMirror `json:"mirrors,omitempty"`

	// mirrorSourcePolicy says whether the source itself may be asked when no mirror has the image. Left out, it may.
	// It counts only where mirrors are named.
	// +optional
	MirrorSourcePolicy MirrorSourcePolicy `json:"mirrorSourcePolicy,omitempty"` //nolint:kubeapilinter // the enum allows no empty string
}

// ImageMirror is a place that may hold the images of a source: a registry host with an optional port, or a namespace or
// repository below it.
//
// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$`
type ImageMirror string

// MirrorSourcePolicy says what happens when no mirror has the image.
//
// +kubebuilder:validation:Enum=NeverContactSource;AllowContactingSource
type MirrorSourcePolicy string

const (
	// NeverContactSource fails the pull: the source is blocked, for tags too.
	NeverContactSource MirrorSourcePolicy = "NeverContactSource"
	// AllowContactingSource goes on to the source; it is what an absent policy means.
	AllowContactingSource MirrorSourcePolicy = "AllowContactingSource"
)

// ImageDigestMirrorSetStatus is what the cluster made of a set.
type ImageDigestMirrorSetStatus struct{}

// ImageDigestMirrorSetList is a list of sets.
//
// +kubebuilder:object:root=true
type ImageDigestMirrorSetList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list metadata.
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the sets.
	Items []ImageDigestMirrorSet `json:"items"`
}
