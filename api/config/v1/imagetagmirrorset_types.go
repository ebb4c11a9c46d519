// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageTagMirrorSet lists where images that are named by tag may come from instead of the registry in their reference.
// What a mirror has under a tag is what runs: nothing compares it with the source, so name mirrors that you trust as you trust
// the source. All sets of a cluster are merged, as for ImageDigestMirrorSets, and a source without rules for tags takes those
// of the next broader source that has some.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=imagetagmirrorsets,singular=imagetagmirrorset,scope=Cluster,shortName=itms
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Sources",type=integer,JSONPath=`.status.sources`,description="How many sources the set names"
// +kubebuilder:printcolumn:name="Mirrors",type=integer,JSONPath=`.status.mirrors`,description="How many mirrors the set names"
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`,description="Whether all of the set is used"
// +kubebuilder:printcolumn:name="Applied",type=string,JSONPath=`.status.conditions[?(@.type=="Applied")].status`,description="Whether all nodes have it in force"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why the set is ready, or is not"
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="What there is to know about that"
type ImageTagMirrorSet struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec holds the mirror rules of this set.
	// +required
	Spec ImageTagMirrorSetSpec `json:"spec"` //nolint:kubeapilinter // required upstream, and may be empty

	// status is what the cluster made of this set.
	// +optional
	// +kubebuilder:default={}
	Status MirrorSetStatus `json:"status,omitzero"` //nolint:kubeapilinter // a value upstream
}

// ImageTagMirrorSetSpec is what an administrator asks for.
type ImageTagMirrorSetSpec struct {
	// imageTagMirrors are the rules, one a source. A rule applies to references by tag; for images that are named by
	// digest there are ImageDigestMirrorSets. Only the rules with the most specific matching source are used for an
	// image, so a rule for quay.io/libpod/busybox replaces, for that repository, whatever is said about quay.io/libpod.
	// Rules with equal sources, here or in other sets, are merged: lists "a, b, c" and "c, d, e" become
	// "a, b, c, d, e". Lists that contradict each other are accepted; give one list where the order matters.
	// +optional
	// +listType=atomic
	ImageTagMirrors []ImageTagMirrors `json:"imageTagMirrors,omitempty"`
}

// ImageTagMirrors is one rule: a source, and the mirrors that stand in for it.
type ImageTagMirrors struct {
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
	// It counts only where mirrors are named. A source that it blocks is blocked for digests too.
	// +optional
	MirrorSourcePolicy MirrorSourcePolicy `json:"mirrorSourcePolicy,omitempty"` //nolint:kubeapilinter // the enum allows no empty string
}

// ImageTagMirrorSetList is a list of sets.
//
// +kubebuilder:object:root=true
type ImageTagMirrorSetList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list metadata.
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the sets.
	Items []ImageTagMirrorSet `json:"items"`
}
