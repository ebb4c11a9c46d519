// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MirrorNode says which mirror rules one node has in force. There is one for each node that Mirrorset serves, with the
// node's name. The manager makes and removes it; its status is written by the agent of that node, and by the manager where
// the agent does not.
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

	// status is what was last seen on the node.
	// +optional
	Status MirrorNodeStatus `json:"status,omitzero"` //nolint:kubeapilinter // an empty status says nothing
}

// MirrorNodeStatus is what was last seen on a node.
type MirrorNodeStatus struct {
	// revision is that of the rules in force. It grows with every change that the manager publishes; without any in force
	// it is absent.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision,omitempty"` //nolint:kubeapilinter // no revision is 0

	// digest is that of the rules in force, as in sha256:<hex>. With the revision it names what was published exactly.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest,omitempty"` //nolint:kubeapilinter // no digest is empty

	// appliedAt is when the revision came into force on the node.
	// +optional
	AppliedAt *metav1.Time `json:"appliedAt,omitempty"`

	// runtimes are those that the rules are in force for, by the names that they go by, as in CRI-O, containerd or Podman.
	// The first is the one that runs the node's Pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Runtimes []string `json:"runtimes,omitempty"`

	// notInForce are the sources whose rules of this revision are not in force for the runtime of the node's Pods, in byte
	// order. The condition Applied says why.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=4096
	NotInForce []string `json:"notInForce,omitempty"`

	// trial is what came of the last change of rules for the images that containers of this node run, and for what was pulled since.
	// It is absent while no change has been tried.
	// +optional
	Trial *Trial `json:"trial,omitempty"`

	// mirrorFaults are the mirrors that this node's redirector has found silent, refusing or failing for a minute and in each try since, in
	// byte order. A mirror that nothing was pulled from for ten minutes is not among them, because nothing is known of it.
	// +optional
	// +listType=map
	// +listMapKey=mirror
	// +kubebuilder:validation:MaxItems=50
	MirrorFaults []MirrorFault `json:"mirrorFaults,omitempty"`

	// wouldRefuse are the sources of sets in shadow mode that images were pulled from on this node: with the policy enforced, these pulls
	// would have been refused. They are in byte order.
	// +optional
	// +listType=map
	// +listMapKey=source
	// +kubebuilder:validation:MaxItems=100
	WouldRefuse []WouldRefuse `json:"wouldRefuse,omitempty"`

	// seesPulls says whether the runtime of the node's Pods pulls by way of the redirector, so that mirrorFaults and wouldRefuse can be told. It is
	// absent where the agent is too old to say.
	// +optional
	SeesPulls *bool `json:"seesPulls,omitempty"`

	// conditions are Applied, which says whether all rules of the revision are in force, and RuntimeReady, which says
	// whether the runtimes are set up to follow them. ImagesPullable is there after a change of rules that touched
	// images of running containers: it says whether these could be pulled again.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"` //nolint:kubeapilinter // custom resources have no strategic merge patch
}

// MirrorFaultState is what is wrong with a mirror.
//
// +kubebuilder:validation:Enum=Silent;Refuses;Fails
type MirrorFaultState string

// The states of a mirror that has a fault.
const (
	// MirrorSilent: it does not answer in time.
	MirrorSilent MirrorFaultState = "Silent"
	// MirrorRefuses: it refuses the login of the node, or wants one: it answers the redirector, which streams it, 401 or 403, or its token server does.
	MirrorRefuses MirrorFaultState = "Refuses"
	// MirrorFails: it cannot be connected to, or answers 429 or 5xx, or has other content than a digest says.
	MirrorFails MirrorFaultState = "Fails"
)

// MirrorFault is one mirror that a node cannot pull from.
type MirrorFault struct {
	// mirror is the mirror, as the rules in force name it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Mirror string `json:"mirror,omitempty"`

	// state is what is wrong.
	// +required
	State MirrorFaultState `json:"state,omitempty"`

	// since is when it began.
	// +required
	Since *metav1.Time `json:"since,omitempty"`

	// message is what the mirror answered last, on one line.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"` //nolint:kubeapilinter // no message is empty
}

// WouldRefuse is what a watched source would have refused on a node.
type WouldRefuse struct {
	// source is the watched source.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Source string `json:"source,omitempty"`

	// count is how many different images would have been refused since the agent started; 1000 stands for that many and more.
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count,omitempty"`

	// images are ten of these, in byte order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Images []string `json:"images,omitempty"`
}

// MaxMirrorFaults and MaxWouldRefuse are how many of each a status has room for, and MaxImages how many images one of the latter.
const (
	MaxMirrorFaults = 50
	MaxWouldRefuse  = 100
	MaxImages       = 10
)

// TrialState is how far a trial is.
//
// +kubebuilder:validation:Enum=Running;Passed;Failed
type TrialState string

// The states of a trial.
const (
	// TrialRunning: images are still being asked for.
	TrialRunning TrialState = "Running"
	// TrialPassed: every image that could be pulled before the change can be pulled after it, and no more pulls have failed.
	TrialPassed TrialState = "Passed"
	// TrialFailed: an image can no longer be pulled, more pulls were refused or passed over than before, or nothing could be tried.
	TrialFailed TrialState = "Failed"
)

// Trial is what came of one change of rules on a node.
type Trial struct {
	// revision is that of the rules that the change led to.
	// +required
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision,omitempty"`

	// state is how far the trial is. A trial that passed can fail later, by pulls.
	// +required
	State TrialState `json:"state,omitempty"`

	// images is how many images of running containers were asked for, because the change touches where they are pulled from.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Images *int32 `json:"images,omitempty"`

	// notAsked is how many more the change touches that were not asked for, because a trial is bounded in number and time.
	// +optional
	// +kubebuilder:validation:Minimum=0
	NotAsked *int32 `json:"notAsked,omitempty"`

	// unpullable is how many of those that were asked for could be pulled before the change and cannot be pulled after it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Unpullable *int32 `json:"unpullable,omitempty"`

	// failedPulls is how many pulls that the change touches the node's redirector refused, or passed a failing mirror over for, since the change,
	// beyond those in as much time before it, but ten minutes at most.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FailedPulls *int32 `json:"failedPulls,omitempty"`

	// message says what failed: images, mirrors and their answers; and what was not tried.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32768
	Message string `json:"message,omitempty"` //nolint:kubeapilinter // no message is empty
}

// RuntimeAnnotation is what the manager copies from the Node's status.nodeInfo.containerRuntimeVersion, as in
// containerd://2.1.4, so that the agent knows which runtime the kubelet uses.
const RuntimeAnnotation = "mirrorset.io/container-runtime"

// MaxNotInForce is how many sources a status has room for.
const MaxNotInForce = 1000

// The types of a node's conditions.
const (
	// ConditionApplied: all rules of the revision are in force. Its status is Unknown where the agent says nothing.
	ConditionApplied = "Applied"
	// ConditionRuntimeReady: the runtimes are set up to follow the rules. Where they are not, the message says what to
	// change on the node.
	ConditionRuntimeReady = "RuntimeReady"
	// ConditionImagesPullable: every image that a container of the node runs, and that the last change of rules touched, can be
	// pulled again as far as it could be before. It is absent while no change has touched one.
	ConditionImagesPullable = "ImagesPullable"
)

// The reasons of [ConditionImagesPullable].
const (
	// ReasonPullable: every such image could be pulled again.
	ReasonPullable = "Pullable"
	// ReasonUnpullable: some could not; the message names them, the mirrors, and what these answered.
	ReasonUnpullable = "Unpullable"
	// ReasonNotAsked: some were not asked for, because a trial is bounded; what was asked for could be pulled again.
	ReasonNotAsked = "NotAsked"
	// ReasonPullsFail: what was asked for could be pulled again, and more pulls have failed since than before.
	ReasonPullsFail = "PullsFail"
)

// The reasons of [ConditionApplied].
const (
	// ReasonInForce: every rule of the revision is in force.
	ReasonInForce = "InForce"
	// ReasonNotInForce: the revision is in force but for rules that this node cannot have; the message names them.
	ReasonNotInForce = "NotInForce"
	// ReasonFailed: a newer revision could not be put in force; the one of the status still is.
	ReasonFailed = "Failed"
	// ReasonNeverReported: no agent has ever written the status.
	ReasonNeverReported = "NeverReported"
	// ReasonAgentSilent: the agent has stopped to report. What it reported last is in the status, and most likely still
	// true of the node.
	ReasonAgentSilent = "AgentSilent"
	// ReasonAgentNotReady: the agent last reported that all was in force, and its Pod has not been Ready for a minute. Its files
	// stay, but nobody checks them.
	ReasonAgentNotReady = "AgentNotReady"
)

// The reasons of [ConditionRuntimeReady]; that of a node without a report is [ReasonNeverReported].
const (
	// ReasonReady: nothing on the node keeps a runtime from the rules.
	ReasonReady = "Ready"
	// ReasonReadyWithProblems: the runtimes follow the rules, and the message says what to change on the node all the same.
	ReasonReadyWithProblems = "ReadyWithProblems"
	// ReasonNotReady: a runtime does not follow the rules, or will not after its next start.
	ReasonNotReady = "NotReady"
)

// MirrorNodeList is a list of nodes.
//
// +kubebuilder:object:root=true
type MirrorNodeList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list metadata.
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the nodes.
	Items []MirrorNode `json:"items"`
}
