// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageTagMirrorSet lists mirrors for images that a reference names by tag, such as quay.io/prometheus/alertmanager:v1.
// Every node tries these mirrors before the registry in the reference. An ImageDigestMirrorSet lists mirrors for
// references by digest.
//
// A node runs what the mirror has under the tag. Nothing compares it with the source, so name only mirrors that you
// trust as much as the source.
//
// Mirrorset merges the sets of a cluster into one rule per source. For each image, the most specific source that
// matches decides. A source without an entry for tags takes the tag mirrors of the next broader source that has such an
// entry.
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

	// spec holds the entries of this set. It is required, and it may be empty: spec: {}.
	// +required
	Spec ImageTagMirrorSetSpec `json:"spec"` //nolint:kubeapilinter // required upstream, and may be empty

	// status reports what the cluster made of this set. The manager writes it.
	// +optional
	// +kubebuilder:default={}
	Status MirrorSetStatus `json:"status,omitzero"` //nolint:kubeapilinter // a value upstream
}

// ImageTagMirrorSetSpec holds the entries that an administrator writes.
type ImageTagMirrorSetSpec struct {
	// imageTagMirrors lists the entries of this set: each has a source and its mirrors, and applies to image references
	// by tag.
	//
	// Only the most specific source that matches an image counts. An entry for quay.io/prometheus/alertmanager
	// therefore replaces an entry for quay.io/prometheus in that one repository.
	//
	// Mirrorset joins entries with one source, of this set and of other ImageTagMirrorSets: the lists (m1, m2) and (m2,
	// m3) become (m1, m2, m3). If two lists contradict each other, such as (m1, m2) and (m2, m1), the first appearance
	// decides: Mirrorset reads sets by name, and entries from top to bottom. The sets then have the finding
	// OrderConflict. To fix an order, put the mirrors into one entry.
	//
	// The default is no entry. The list has no maximum length. The rules of all sets together have a limit: above 8 MiB
	// of text or 262,144 mirrors, the manager keeps the rules that it published before, and the condition Stalled
	// reports that.
	// +optional
	// +listType=atomic
	ImageTagMirrors []ImageTagMirrors `json:"imageTagMirrors,omitempty"`
}

// ImageTagMirrors is one entry: a source, and the mirrors that nodes try before this source.
type ImageTagMirrors struct {
	// source is the registry, namespace or repository that this entry is about. Write it in one of these forms:
	//
	//   - host[:port] for a whole registry, such as quay.io or registry.example:5000
	//   - host[:port]/path for a namespace or a repository, such as quay.io/prometheus
	//   - *.host for all subdomains of a host at any depth, such as *.corp.example. The host itself does not match.
	//
	// A path matches whole components: quay.io/lib matches quay.io/lib/app and does not match quay.io/libpod. A source
	// has no scheme, no tag and no digest. An official image of Docker Hub has the namespace library: write
	// docker.io/library/nginx.
	// +required
	// +kubebuilder:validation:Pattern=`^(?:\*(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)+|[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)$`
	Source string `json:"source"` //nolint:kubeapilinter // the pattern allows no empty string

	// mirrors lists the places that nodes try before the source, first to last. A mirror replaces the part of the image
	// reference that the source matches. Example: the source is quay.io/prometheus, the mirror is
	// registry.site.example:5000/monitoring, and the image is quay.io/prometheus/alertmanager. Nodes then try
	// registry.site.example:5000/monitoring/alertmanager. A wildcard source matches the host name only: *.corp.example
	// with the mirror mirror.example/corp turns git.corp.example/team/web into mirror.example/corp/team/web.
	//
	// Without mirrors, the entry is an exception to a broader source: nodes pull the images of this source from the
	// source itself, and ignore the mirrors of the broader source. If another entry of an ImageTagMirrorSet lists
	// mirrors for this source, these mirrors count. The list has no maximum length, and each mirror may be in it once.
	// +optional
	// +listType=set
	Mirrors []ImageMirror `json:"mirrors,omitempty"`

	// mirrorSourcePolicy decides what a node does when no mirror has the image. AllowContactingSource is the default:
	// the node falls back to the source. NeverContactSource makes the pull fail: the source is blocked, for tags and
	// for digests. The policy has no effect in an entry without mirrors.
	// +optional
	MirrorSourcePolicy MirrorSourcePolicy `json:"mirrorSourcePolicy,omitempty"` //nolint:kubeapilinter // the enum allows no empty string
}

// ImageTagMirrorSetList is a list of ImageTagMirrorSets.
//
// +kubebuilder:object:root=true
type ImageTagMirrorSetList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list metadata.
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the sets.
	Items []ImageTagMirrorSet `json:"items"`
}
