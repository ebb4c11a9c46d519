// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MirrorNode reports which mirror rules one node has in force. The manager creates one MirrorNode per node that gets an
// agent, with the name of the node, and deletes it. The agent of the node writes the status. The manager writes the
// status if the agent does not.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=mirrornodes,singular=mirrornode,scope=Cluster,shortName=mn
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Runtime",type=string,JSONPath=`.status.runtimes[0]`,description="The runtime of the node's Pods"
// +kubebuilder:printcolumn:name="Revision",type=integer,format=int64,JSONPath=`.status.revision`,description="The revision of the rules that are in force"
// +kubebuilder:printcolumn:name="Applied",type=string,JSONPath=`.status.conditions[?(@.type=="Applied")].status`,description="Whether all rules of that revision are in force"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.status!="True")].message`,description="What is wrong"
type MirrorNode struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// status reports the last known state of the node.
	// +optional
	Status MirrorNodeStatus `json:"status,omitzero"` //nolint:kubeapilinter // an empty status says nothing
}

// MirrorNodeStatus is the last known state of a node.
type MirrorNodeStatus struct {
	// revision is the number of the rules in force, such as 1795573438818. It grows with every change that the manager
	// publishes. It is absent while no rules are in force.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision,omitempty"` //nolint:kubeapilinter // no revision is 0

	// digest is the digest of the rules in force, in the form sha256:<hex>, with up to 128 characters. Revision and
	// digest together identify exactly what the manager published.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest,omitempty"` //nolint:kubeapilinter // no digest is empty

	// appliedAt is the time at which the revision came into force on the node, such as 2026-11-29T18:00:00Z.
	// +optional
	AppliedAt *metav1.Time `json:"appliedAt,omitempty"`

	// runtimes lists the runtimes that have the rules in force: containerd, CRI-O or Podman. The first runtime runs the
	// Pods of the node. The list holds up to 16 names of up to 63 characters.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Runtimes []string `json:"runtimes,omitempty"`

	// notInForce lists the sources whose rules of this revision are not in force for the runtime of the node's Pods, in
	// byte order. Example: quay.io/prometheus. The condition Applied reports the cause. The list holds up to 1000
	// sources.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=4096
	NotInForce []string `json:"notInForce,omitempty"`

	// trial reports how the last change of rules affected the images of containers on this node, and later pulls. It is
	// absent until the node has tried a change.
	// +optional
	Trial *Trial `json:"trial,omitempty"`

	// mirrorFaults lists the mirrors that have been silent, have refused or have failed for at least a minute, in every
	// try by the redirector of this node. The list is in byte order and holds up to 50 mirrors. A mirror leaves the
	// list once the node has pulled nothing from it for ten minutes, because its state is unknown then.
	// +optional
	// +listType=map
	// +listMapKey=mirror
	// +kubebuilder:validation:MaxItems=50
	MirrorFaults []MirrorFault `json:"mirrorFaults,omitempty"`

	// wouldRefuse lists the sources of sets in shadow mode from which this node pulled images. With the policy
	// enforced, these pulls would have been refused. The list is in byte order and holds up to 100 sources.
	// +optional
	// +listType=map
	// +listMapKey=source
	// +kubebuilder:validation:MaxItems=100
	WouldRefuse []WouldRefuse `json:"wouldRefuse,omitempty"`

	// seesPulls is true if the runtime of the node's Pods pulls through the redirector. Only then can the node report
	// mirrorFaults and wouldRefuse. The field is absent if the agent is too old to report it.
	// +optional
	SeesPulls *bool `json:"seesPulls,omitempty"`

	// conditions summarize the state of the node:
	//
	//   - Applied is true if all rules of the revision are in force. It is Unknown if the agent does not report.
	//   - RuntimeReady is true if the runtimes are set up to follow the rules.
	//   - ImagesPullable appears after a change of rules that affects images of running containers. It is true if the
	//     node can still pull these images.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"` //nolint:kubeapilinter // custom resources have no strategic merge patch
}

// MirrorFaultState is the kind of a mirror fault.
//
// +kubebuilder:validation:Enum=Silent;Refuses;Fails
type MirrorFaultState string

// The states of a mirror that has a fault.
const (
	// MirrorSilent means that the mirror does not answer in time.
	MirrorSilent MirrorFaultState = "Silent"
	// MirrorRefuses means that the mirror refuses the login of the node or requires a login. The redirector streams
	// this mirror, and the mirror or its token server answers 401 or 403.
	MirrorRefuses MirrorFaultState = "Refuses"
	// MirrorFails means that the node cannot connect to the mirror, that the mirror answers 429 or 5xx, or that its
	// content does not match the digest.
	MirrorFails MirrorFaultState = "Fails"
)

// MirrorFault is one mirror that a node cannot pull from.
type MirrorFault struct {
	// mirror is the mirror as the rules in force name it, with up to 512 characters. Example:
	// registry.site.example:5000/monitoring.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Mirror string `json:"mirror,omitempty"`

	// state is the kind of fault: Silent (no answer in time), Refuses (401 or 403), or Fails (no connection, 429, 5xx
	// or wrong content).
	// +required
	State MirrorFaultState `json:"state,omitempty"`

	// since is the time at which the fault began, such as 2026-11-29T18:00:00Z.
	// +required
	Since *metav1.Time `json:"since,omitempty"`

	// message is the last answer of the mirror on one line, with up to 1024 characters. Example: it does not answer
	// within 10s.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"` //nolint:kubeapilinter // no message is empty
}

// WouldRefuse reports what one watched source would have refused on a node.
type WouldRefuse struct {
	// source is the watched source, with up to 512 characters. Example: quay.io/team.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Source string `json:"source,omitempty"`

	// count is the number of different images that would have been refused since the agent started. The value 1000
	// means 1000 or more.
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count,omitempty"`

	// images lists up to 10 of these images, in byte order. Example: quay.io/team/app:1.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Images []string `json:"images,omitempty"`
}

// MaxMirrorFaults, MaxWouldRefuse and MaxImages are the maximum numbers of mirror faults in a status, of sources in
// wouldRefuse, and of images per such source.
const (
	MaxMirrorFaults = 50
	MaxWouldRefuse  = 100
	MaxImages       = 10
)

// TrialState is the progress of a trial.
//
// +kubebuilder:validation:Enum=Running;Passed;Failed
type TrialState string

// The states of a trial.
const (
	// TrialRunning means that the node is still requesting images.
	TrialRunning TrialState = "Running"
	// TrialPassed means that the node can still pull every image that it could pull before the change, and that no more
	// pulls have failed than before.
	TrialPassed TrialState = "Passed"
	// TrialFailed means that the node can no longer pull an image, that the redirector refused more pulls or passed
	// over more mirrors than before, or that the node could not try anything.
	TrialFailed TrialState = "Failed"
)

// Trial reports the effect of one change of rules on a node.
type Trial struct {
	// revision is the number of the rules that the change led to, such as 1795573438818.
	// +required
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision,omitempty"`

	// state is the progress of the trial: Running, Passed or Failed. A trial that has passed can fail later because of
	// failed pulls.
	// +required
	State TrialState `json:"state,omitempty"`

	// images is the number of images of running containers that the node requested, because the change affects where
	// they are pulled from. Example: 12.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Images *int32 `json:"images,omitempty"`

	// notAsked is the number of further images that the change affects and that the node did not request. A trial is
	// limited to 32 images and 40 seconds.
	// +optional
	// +kubebuilder:validation:Minimum=0
	NotAsked *int32 `json:"notAsked,omitempty"`

	// unpullable is the number of requested images that the node could pull before the change and cannot pull after it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Unpullable *int32 `json:"unpullable,omitempty"`

	// failedPulls counts failed pulls that the change affects: pulls that the redirector refused, and pulls for which
	// it passed over a failing mirror. The field holds the number since the change, minus the number in the same time
	// before the change. The time before the change counts for ten minutes at most.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FailedPulls *int32 `json:"failedPulls,omitempty"`

	// message names what failed (images, mirrors and their answers) and what the node did not try. It has up to 32,768
	// characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32768
	Message string `json:"message,omitempty"` //nolint:kubeapilinter // no message is empty
}

// RuntimeAnnotation holds a copy of the Node's status.nodeInfo.containerRuntimeVersion, such as containerd://2.1.4. The
// manager writes it to show the agent which runtime the kubelet uses.
const RuntimeAnnotation = "mirrorset.io/container-runtime"

// MaxNotInForce is the maximum number of sources in notInForce.
const MaxNotInForce = 1000

// MirrorNodeList is a list of MirrorNodes.
//
// +kubebuilder:object:root=true
type MirrorNodeList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list metadata.
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the MirrorNodes.
	Items []MirrorNode `json:"items"`
}
