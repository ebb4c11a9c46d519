// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// The condition types of a node.
const (
	// ConditionApplied is true if all rules of the revision are in force. It is Unknown if the agent does not report.
	ConditionApplied = "Applied"
	// ConditionRuntimeReady is true if the runtimes are set up to follow the rules. Otherwise the message names what to
	// change on the node.
	ConditionRuntimeReady = "RuntimeReady"
	// ConditionImagesPullable is true if the node can pull every image of a running container again, as far as it could
	// before the last change of rules. It is about images that the change affected, and is absent until a change has
	// affected one.
	ConditionImagesPullable = "ImagesPullable"
)

// The reasons of [ConditionImagesPullable].
const (
	// ReasonPullable means that the node could pull every affected image again.
	ReasonPullable = "Pullable"
	// ReasonUnpullable means that the node could not pull some affected images. The message names them, the mirrors,
	// and their answers.
	ReasonUnpullable = "Unpullable"
	// ReasonNotAsked means that the node did not request some images, because a trial is limited. It could pull the
	// requested images again.
	ReasonNotAsked = "NotAsked"
	// ReasonPullsFail means that the node could pull the requested images again, but that more pulls have failed since
	// the change than before.
	ReasonPullsFail = "PullsFail"
)

// The reasons of [ConditionApplied].
const (
	// ReasonInForce means that every rule of the revision is in force.
	ReasonInForce = "InForce"
	// ReasonNotInForce means that the revision is in force, except for rules that this node cannot follow. The message
	// names them.
	ReasonNotInForce = "NotInForce"
	// ReasonFailed means that the agent could not put a newer revision in force. The revision in the status is still in
	// force.
	ReasonFailed = "Failed"
	// ReasonNeverReported means that no agent has ever written the status.
	ReasonNeverReported = "NeverReported"
	// ReasonAgentSilent means that the agent no longer reports. The status holds its last report, which most likely
	// still describes the node.
	ReasonAgentSilent = "AgentSilent"
	// ReasonAgentNotReady means that the agent last reported all rules in force, and that its Pod has not been Ready
	// for a minute. The files of the agent stay on the node, but nothing checks them.
	ReasonAgentNotReady = "AgentNotReady"
)

// The reasons of [ConditionRuntimeReady]; that of a node without a report is [ReasonNeverReported].
const (
	// ReasonReady means that nothing on the node keeps a runtime from following the rules.
	ReasonReady = "Ready"
	// ReasonReadyWithProblems means that the runtimes follow the rules. The message names what to change on the node
	// nevertheless.
	ReasonReadyWithProblems = "ReadyWithProblems"
	// ReasonNotReady means that a runtime does not follow the rules, or will stop following them at its next start.
	ReasonNotReady = "NotReady"
)
