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

	// spec holds the mirror rules of this set.
	// +required
	Spec ImageDigestMirrorSetSpec `json:"spec"` //nolint:kubeapilinter // required upstream, and may be empty

	// status is what the cluster made of this set.
	// +optional
	// +kubebuilder:default={}
	Status MirrorSetStatus `json:"status,omitzero"` //nolint:kubeapilinter // a value upstream
}

// ImageDigestMirrorSetSpec is what an administrator asks for.
type ImageDigestMirrorSetSpec struct {
	// imageDigestMirrors are the rules, one a source. A rule applies to references by digest; for images that are
	// named by tag there are ImageTagMirrorSets. Only the rules with the most specific matching source are used for an image, so a rule for
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
	// NeverContactSource fails the pull: the source is blocked, for digests and tags alike.
	NeverContactSource MirrorSourcePolicy = "NeverContactSource"
	// AllowContactingSource goes on to the source; it is what an absent policy means.
	AllowContactingSource MirrorSourcePolicy = "AllowContactingSource"
)

// MirrorSetStatus is what the cluster made of a set. Upstream it is an object without fields, so a set written
// for OpenShift has none of these and loses nothing here.
type MirrorSetStatus struct {
	// observedGeneration is the generation of the set that this status is about; -1 while the manager has not looked at the
	// set, so that nobody takes a set without a status for one that is in force.
	// +optional
	// +default=-1
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"` //nolint:kubeapilinter // no set has generation 0

	// revision is the first one, of all that the manager published, that holds this generation of the set. A node whose
	// revision is not smaller has seen the set as it is now.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision,omitempty"` //nolint:kubeapilinter // no revision is 0

	// sources is how many different sources the set names.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Sources *int32 `json:"sources,omitempty"`

	// mirrors is how many different mirrors the set names.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Mirrors *int32 `json:"mirrors,omitempty"`

	// shadow is what the set would have refused, while it is in shadow mode. It is absent otherwise.
	// +optional
	Shadow *ShadowStatus `json:"shadow,omitempty"`

	// conditions are Accepted, which says whether all of the set is used; Applied, which says whether nodes have it in force:
	// it is true once every node has put this generation in force, and false again while a node reports that it has lost it;
	// Ready, which is true where both are; Stalled, which is there where somebody has to change something first; and
	// MirrorsReachable, which is false while nodes report that they cannot pull from a mirror of the set.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"` //nolint:kubeapilinter // custom resources have no strategic merge patch

	// findings are what an administrator should know about the set: parts that are left out, contradictions with other
	// sets, rules that cannot match. Where there are more than fit, the condition Accepted says so.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is one thing that an administrator should know about a set.
type Finding struct {
	// reason is the name of what was found, in CamelCase.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason,omitempty"`

	// message says it in a sentence.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32768
	Message string `json:"message,omitempty"`

	// entry is which entry of the spec it was found in, counted from 0. It is absent where it concerns several
	// entries.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Entry *int32 `json:"entry,omitempty"`
}

// ShadowStatus is what a set in shadow mode would have refused, as far as nodes can see that.
type ShadowStatus struct {
	// nodes is on how many nodes images were pulled that would have been refused.
	// +required
	// +kubebuilder:validation:Minimum=0
	Nodes *int32 `json:"nodes,omitempty"`

	// unseenNodes is how many nodes there are that cannot tell what this set would have refused there: their runtime pulls past the redirector, as
	// CRI-O does, no agent speaks for them, they do not have what is published in force, or not for a source that the set watches.
	// +required
	// +kubebuilder:validation:Minimum=0
	UnseenNodes *int32 `json:"unseenNodes,omitempty"`

	// images are up to ten of the images that would have been refused, in byte order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Images []string `json:"images,omitempty"`
}

// MaxFindings is how many findings a status has room for.
const MaxFindings = 100

// The types of a set's conditions.
const (
	// ConditionAccepted: all of the set is used. Where it is not, the message says what is left out and why.
	ConditionAccepted = "Accepted"
	// ConditionApplied: every node that counts has put this generation of the set in force, and none reports that it has it
	// no more. A node that joins later starts with the set, and is not waited for.
	ConditionApplied = "Applied"
	// ConditionReady: the set is accepted and applied. Its reason and message are those of the condition that keeps it from
	// being ready. The name, and that of Stalled, are those that kstatus reads, and so Flux, Helm and others.
	ConditionReady = "Ready"
	// ConditionMirrorsReachable: no node reports that it cannot pull from a mirror of the set. It is Unknown where no node can tell.
	ConditionMirrorsReachable = "MirrorsReachable"
	// ConditionStalled is there, and true, only where the set does not become ready until somebody changes it or a node.
	ConditionStalled = "Stalled"
)

// The reasons of [ConditionAccepted].
const (
	// ReasonAllEntriesAccepted: nothing of the set is left out.
	ReasonAllEntriesAccepted = "AllEntriesAccepted"
	// ReasonPartsLeftOut: entries, or mirrors of entries, are left out; the rest is used.
	ReasonPartsLeftOut = "PartsLeftOut"
	// ReasonNothingAccepted: every entry of the set is left out.
	ReasonNothingAccepted = "NothingAccepted"
)

// The reasons of [ConditionMirrorsReachable].
const (
	// ReasonNoFaultReported: no node that sees pulls reports a fault of a mirror, and an agent speaks for one of them at least. A mirror that nothing is pulled from may be down all the same.
	ReasonNoFaultReported = "NoFaultReported"
	// ReasonMirrorFaults: nodes report mirrors that are silent, refuse or fail; the message names both.
	ReasonMirrorFaults = "MirrorFaults"
	// ReasonNotSeen: no node that an agent speaks for sees pulls.
	ReasonNotSeen = "NotSeen"
	// ReasonFaultsNotSeen: nodes reported faults of mirrors, and no agent speaks for these nodes any more, or none sees pulls, so that nothing tells
	// whether that is over.
	ReasonFaultsNotSeen = "FaultsNotSeen"
)

// The reasons of [ConditionApplied].
const (
	// ReasonAppliedOnAllNodes: every node that counts has reached the revision, and none reports a failure.
	ReasonAppliedOnAllNodes = "AppliedOnAllNodes"
	// ReasonDegraded: every node that counted had this generation in force, and since then nodes report that they do not have
	// it; the message names them.
	ReasonDegraded = "Degraded"
	// ReasonProgressing: nodes are still to follow; none has failed.
	ReasonProgressing = "Progressing"
	// ReasonNodesFailing: nodes report that they cannot put the revision in force; the message names them.
	ReasonNodesFailing = "NodesFailing"
	// ReasonNoNodes: there is no node that counts.
	ReasonNoNodes = "NoNodes"
	// ReasonNotPublished: the manager keeps the rules back, so that no node can know of this generation.
	ReasonNotPublished = "NotPublished"
	// ReasonCanaryProgressing: canaries try this generation; all other nodes get it once it has proven itself there.
	ReasonCanaryProgressing = "CanaryProgressing"
	// ReasonCanaryFailed: a canary failed with this generation, and no node keeps it. The message names the canary and what failed.
	ReasonCanaryFailed = "CanaryFailed"
	// ReasonNoCanaries: a change goes to canaries first, and no node is one.
	ReasonNoCanaries = "NoCanaries"
	// ReasonPaused: somebody paused the rollout, so that no node can know of this generation.
	ReasonPaused = "Paused"
	// ReasonRolledBack: somebody had all nodes go back to rules from before this generation.
	ReasonRolledBack = "RolledBack"
)

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
