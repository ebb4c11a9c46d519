// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// The condition types of a set.
const (
	// ConditionAccepted is true if Mirrorset uses the whole set. Otherwise its message names the parts that are left
	// out, and why.
	ConditionAccepted = "Accepted"
	// ConditionApplied is true once every node that counts has put this generation of the set in force, while no node
	// reports that it has lost the set. A node that joins later starts with the set, so the condition does not wait for
	// it.
	ConditionApplied = "Applied"
	// ConditionReady is true if the set is accepted and applied. Its reason and message are those of the condition that
	// is not true. kstatus reads this type and Stalled, and so do Flux, Helm and other tools.
	ConditionReady = "Ready"
	// ConditionMirrorsReachable is true if no node reports that it cannot pull from a mirror of the set. It is Unknown
	// if no node can report that.
	ConditionMirrorsReachable = "MirrorsReachable"
	// ConditionStalled is present, and true, only if the set cannot become ready until somebody changes the set or a
	// node.
	ConditionStalled = "Stalled"
)

// The reasons of [ConditionAccepted].
const (
	// ReasonAllEntriesAccepted means that Mirrorset uses the whole set.
	ReasonAllEntriesAccepted = "AllEntriesAccepted"
	// ReasonPartsLeftOut means that Mirrorset leaves out entries, or mirrors of entries, and uses the rest.
	ReasonPartsLeftOut = "PartsLeftOut"
	// ReasonNothingAccepted means that Mirrorset leaves out every entry of the set.
	ReasonNothingAccepted = "NothingAccepted"
)

// The reasons of [ConditionMirrorsReachable].
const (
	// ReasonNoFaultReported means that no node that sees pulls reports a mirror fault, and that an agent reports for at
	// least one of these nodes. A mirror that no node pulls from may be down nevertheless.
	ReasonNoFaultReported = "NoFaultReported"
	// ReasonMirrorFaults means that nodes report mirrors that are silent, refuse or fail. The message names the mirrors
	// and the nodes.
	ReasonMirrorFaults = "MirrorFaults"
	// ReasonNotSeen means that no node with a reporting agent sees pulls.
	ReasonNotSeen = "NotSeen"
	// ReasonFaultsNotSeen means that nodes reported mirror faults earlier, and that nothing shows now if these faults
	// are over: no agent reports for these nodes any more, or no node sees pulls.
	ReasonFaultsNotSeen = "FaultsNotSeen"
)

// The reasons of [ConditionApplied].
const (
	// ReasonAppliedOnAllNodes means that every node that counts has reached the revision, and that no node reports a
	// failure.
	ReasonAppliedOnAllNodes = "AppliedOnAllNodes"
	// ReasonDegraded means that every node that counted had this generation in force, and that nodes have reported its
	// loss since. The message names these nodes.
	ReasonDegraded = "Degraded"
	// ReasonProgressing means that nodes have yet to follow, and that no node has failed.
	ReasonProgressing = "Progressing"
	// ReasonNodesFailing means that nodes report that they cannot put the revision in force. The message names these
	// nodes.
	ReasonNodesFailing = "NodesFailing"
	// ReasonNoNodes means that there is no node that counts.
	ReasonNoNodes = "NoNodes"
	// ReasonNotPublished means that the manager holds the rules back, so no node can have this generation.
	ReasonNotPublished = "NotPublished"
	// ReasonCanaryProgressing means that canaries try this generation. All other nodes get it after it has worked
	// there.
	ReasonCanaryProgressing = "CanaryProgressing"
	// ReasonCanaryFailed means that a canary failed with this generation, and that no node keeps it. The message names
	// the canary and the failure.
	ReasonCanaryFailed = "CanaryFailed"
	// ReasonNoCanaries means that changes go to canaries first, and that no node is a canary.
	ReasonNoCanaries = "NoCanaries"
	// ReasonPaused means that somebody paused the rollout, so no node can have this generation.
	ReasonPaused = "Paused"
	// ReasonRolledBack means that somebody made all nodes return to rules from before this generation.
	ReasonRolledBack = "RolledBack"
)
