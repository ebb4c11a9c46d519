// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageDigestMirrorSet lists mirrors for images that a reference names by digest, such as
// quay.io/prometheus/alertmanager@sha256:<hex>. Every node tries these mirrors before the registry in the reference. A
// reference with a tag and a digest counts as a reference by digest. An ImageTagMirrorSet lists mirrors for references
// by tag.
//
// Mirrorset merges the sets of a cluster into one rule per source. For each image, the most specific source that
// matches decides. If several sets list mirrors for this source, Mirrorset joins the lists and keeps the order of each
// list.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=imagedigestmirrorsets,singular=imagedigestmirrorset,scope=Cluster,shortName=idms
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Sources",type=integer,JSONPath=`.status.sources`,description="How many sources the set names"
// +kubebuilder:printcolumn:name="Mirrors",type=integer,JSONPath=`.status.mirrors`,description="How many mirrors the set names"
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`,description="Whether all of the set is used"
// +kubebuilder:printcolumn:name="Applied",type=string,JSONPath=`.status.conditions[?(@.type=="Applied")].status`,description="Whether all nodes have it in force"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why the set is ready, or is not"
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,description="What there is to know about that"
type ImageDigestMirrorSet struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec holds the entries of this set. It is required, and it may be empty: spec: {}.
	// +required
	Spec ImageDigestMirrorSetSpec `json:"spec"` //nolint:kubeapilinter // required upstream, and may be empty

	// status reports what the cluster made of this set. The manager writes it.
	// +optional
	// +kubebuilder:default={}
	Status MirrorSetStatus `json:"status,omitzero"` //nolint:kubeapilinter // a value upstream
}

// ImageDigestMirrorSetSpec holds the entries that an administrator writes.
type ImageDigestMirrorSetSpec struct {
	// imageDigestMirrors lists the entries of this set: each has a source and its mirrors, and applies to image
	// references by digest.
	//
	// Only the most specific source that matches an image counts. An entry for quay.io/prometheus/alertmanager
	// therefore replaces an entry for quay.io/prometheus in that one repository.
	//
	// Mirrorset joins entries with one source, of this set and of other ImageDigestMirrorSets: the lists (m1, m2) and
	// (m2, m3) become (m1, m2, m3). If two lists contradict each other, such as (m1, m2) and (m2, m1), the first
	// appearance decides: Mirrorset reads sets by name, and entries from top to bottom. The sets then have the finding
	// OrderConflict. To fix an order, put the mirrors into one entry.
	//
	// The default is no entry. The list has no maximum length. The rules of all sets together have a limit: above 8 MiB
	// of text or 262,144 mirrors, the manager keeps the rules that it published before, and the condition Stalled
	// reports that.
	// +optional
	// +listType=atomic
	ImageDigestMirrors []ImageDigestMirrors `json:"imageDigestMirrors,omitempty"`
}

// ImageDigestMirrors is one entry: a source, and the mirrors that nodes try before this source.
type ImageDigestMirrors struct {
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
	// source itself, and ignore the mirrors of the broader source. If another entry of an ImageDigestMirrorSet lists
	// mirrors for this source, these mirrors count. The list has no maximum length, and each mirror may be in it once.
	// +optional
	// +listType=set
	Mirrors []ImageMirror `json:"mirrors,omitempty"`

	// mirrorSourcePolicy decides what a node does when no mirror has the image. AllowContactingSource is the default:
	// the node falls back to the source. NeverContactSource makes the pull fail: the source is blocked, for digests and
	// for tags. The policy has no effect in an entry without mirrors.
	// +optional
	MirrorSourcePolicy MirrorSourcePolicy `json:"mirrorSourcePolicy,omitempty"` //nolint:kubeapilinter // the enum allows no empty string
}

// ImageMirror is a place that may hold the images of a source: host[:port] or host[:port]/path, such as
// registry.site.example:5000/monitoring. It has no wildcard, no scheme, no tag and no digest. A host name without a dot
// needs a port, unless it is localhost; otherwise Mirrorset leaves the mirror out and adds the finding InvalidMirror.
//
// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$`
type ImageMirror string

// MirrorSourcePolicy decides what a node does when no mirror has the image.
//
// +kubebuilder:validation:Enum=NeverContactSource;AllowContactingSource
type MirrorSourcePolicy string

const (
	// NeverContactSource makes the pull fail. The source is blocked, for digests and for tags.
	NeverContactSource MirrorSourcePolicy = "NeverContactSource"
	// AllowContactingSource makes the node fall back to the source. An absent policy means AllowContactingSource.
	AllowContactingSource MirrorSourcePolicy = "AllowContactingSource"
)

// MirrorSetStatus reports what the cluster made of a set. The status has no fields on OpenShift, so a set written for
// OpenShift loses nothing here.
type MirrorSetStatus struct {
	// observedGeneration is the metadata.generation of the set that this status describes, such as 3. The default is
	// -1, until the manager has looked at the set. A new set without a status therefore never looks as if it were in
	// force.
	// +optional
	// +default=-1
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"` //nolint:kubeapilinter // no set has generation 0

	// revision is the number of the first published rules that contain this generation of the set, such as
	// 1795573438818. A node whose MirrorNode has this revision or a greater one has received this generation. The field
	// is absent until the manager has published this generation.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision,omitempty"` //nolint:kubeapilinter // no revision is 0

	// sources is the number of different sources in the set, such as 3.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Sources *int32 `json:"sources,omitempty"`

	// mirrors is the number of different mirrors in the set, such as 4.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Mirrors *int32 `json:"mirrors,omitempty"`

	// shadow reports which pulls the set would have refused. It is present only in shadow mode, which the annotation
	// mirrorset.io/enforcement: shadow turns on.
	// +optional
	Shadow *ShadowStatus `json:"shadow,omitempty"`

	// conditions summarize the state of the set:
	//
	//   - Accepted is true if Mirrorset uses every entry and every mirror of the set.
	//   - Applied is true once every node with an agent has this generation in force. It becomes false again while a
	//     node reports that it has lost the set.
	//   - Ready is true if Accepted and Applied are true.
	//   - Stalled is true while somebody must change something before the set can become ready. Otherwise it is
	//     absent.
	//   - MirrorsReachable is false while nodes report that they cannot pull from a mirror of the set.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"` //nolint:kubeapilinter // custom resources have no strategic merge patch

	// findings lists problems with the set and notes about it, such as parts that Mirrorset leaves out, contradictions
	// with other sets, and sources that match no image. The list holds up to 100 findings. If there are more, the
	// message of the condition Accepted reports that.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is a problem with a set or a note about one.
type Finding struct {
	// reason identifies the kind of finding, in CamelCase, such as OrderConflict. It has up to 128 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason,omitempty"`

	// message describes the finding in a sentence, with up to 32,768 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32768
	Message string `json:"message,omitempty"`

	// entry is the index of the entry in the spec: 0 is the first entry. It is absent if the finding is about several
	// entries.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Entry *int32 `json:"entry,omitempty"`
}

// ShadowStatus reports which pulls a set in shadow mode would have refused, as far as nodes can see pulls.
type ShadowStatus struct {
	// nodes is the number of nodes that pulled images which the set would have refused, such as 2.
	// +required
	// +kubebuilder:validation:Minimum=0
	Nodes *int32 `json:"nodes,omitempty"`

	// unseenNodes is the number of nodes that cannot report what this set would have refused, such as 1. A node counts
	// here in each of these cases:
	//
	//   - Its runtime does not pull through the redirector, such as CRI-O.
	//   - No agent reports for the node.
	//   - The node does not have the published rules in force.
	//   - A source that the set watches is not in force on the node.
	// +required
	// +kubebuilder:validation:Minimum=0
	UnseenNodes *int32 `json:"unseenNodes,omitempty"`

	// images lists up to 10 of the images that the set would have refused, in byte order. Example: quay.io/team/app:1.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Images []string `json:"images,omitempty"`
}

// MaxFindings is the maximum number of findings in a status.
const MaxFindings = 100

// ImageDigestMirrorSetList is a list of ImageDigestMirrorSets.
//
// +kubebuilder:object:root=true
type ImageDigestMirrorSetList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list metadata.
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the sets.
	Items []ImageDigestMirrorSet `json:"items"`
}
