// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package diagnosis

// Cause names why a container waits. docs/how-to/image-pull-backoff.md has a line for each.
type Cause string

// The causes in which mirrors have no part.
const (
	// NotScheduled: the Pod is on no node.
	NotScheduled Cause = "NotScheduled"
	// NotTheImage: the container waits for something else.
	NotTheImage Cause = "NotTheImage"
	// NeverPulled: imagePullPolicy is Never, and the node does not have the image.
	NeverPulled Cause = "NeverPulled"
	// InvalidName: the image's name is none.
	InvalidName Cause = "InvalidName"
	// NodeTrouble: the node cannot take the image, wherever that comes from.
	NodeTrouble Cause = "NodeTrouble"
	// WrongPlatform: the image has nothing for the node's platform.
	WrongPlatform Cause = "WrongPlatform"
	// NoAgent: Mirrorset does not serve the node.
	NoAgent Cause = "NoAgent"
	// NoRule: no set has a source that the image is of.
	NoRule Cause = "NoRule"
)

// The causes in what the node has in force.
const (
	// Pulling: the image is on its way.
	Pulling Cause = "Pulling"
	// HeldBack: the node should not have the content of the sets yet.
	HeldBack Cause = "HeldBack"
	// NodeLags: the node does not have what it should have.
	NodeLags Cause = "NodeLags"
	// RuntimeNotReady: the runtime does not read the rules.
	RuntimeNotReady Cause = "RuntimeNotReady"
	// NotInForce: the node cannot have the rules of this source.
	NotInForce Cause = "NotInForce"
	// AgentAway: the runtime does not get an answer from the node's agent.
	AgentAway Cause = "AgentAway"
	// BlockedTag: the source is blocked, and has no mirror for tags.
	BlockedTag Cause = "BlockedTag"
	// BlockedDigest: the source is blocked, and has no mirror for digests.
	BlockedDigest Cause = "BlockedDigest"
	// BlockedForGood: the source is blocked, and its only mirrors cannot exist.
	BlockedForGood Cause = "BlockedForGood"
	// InvalidRewrite: the runtime cannot make a mirror's name of the image's.
	InvalidRewrite Cause = "InvalidRewrite"
	// RulesChanged: the last attempt was by earlier rules.
	RulesChanged Cause = "RulesChanged"
)

// The causes that an attempt showed.
const (
	// The problem that kept the image away is over, or may be.
	Mended Cause = "Mended"
	// WrongContent: a mirror has something else under the digest.
	WrongContent Cause = "WrongContent"
	// UnknownAuthority: the node does not trust the authority that signed a certificate.
	UnknownAuthority Cause = "UnknownAuthority"
	// BadCertificate: a certificate is expired or for another name, or there is none.
	BadCertificate Cause = "BadCertificate"
	// LoginWanted: a mirror or the source requires a login, or refuses the login that it was given.
	LoginWanted Cause = "LoginWanted"
	// MirrorDown: a mirror was silent, could not be reached, or failed.
	MirrorDown Cause = "MirrorDown"
	// SourceDown: the source was silent, could not be reached, or failed.
	SourceDown Cause = "SourceDown"
	// RateLimited: a mirror or the source had received too many requests.
	RateLimited Cause = "RateLimited"
	// Incomplete: a mirror has the image's manifest, and lacks a part of it.
	Incomplete Cause = "Incomplete"
	// NobodyHasIt: no place that may be asked has the image.
	NobodyHasIt Cause = "NobodyHasIt"
	// NobodyGaveIt: no mirror has the image, and the source did not give it, for a reason that cannot be told.
	NobodyGaveIt Cause = "NobodyGaveIt"
	// CameBack: the runtime was sent to a mirror, and came back without the image. Why was not seen.
	CameBack Cause = "CameBack"
	// Undecided: what is known does not tell.
	Undecided Cause = "Undecided"
)

// Causes returns all of them.
func Causes() []Cause {
	return []Cause{
		NotScheduled, NotTheImage, NeverPulled, InvalidName, NodeTrouble, WrongPlatform, NoAgent, NoRule,
		Pulling, HeldBack, NodeLags, RuntimeNotReady, NotInForce, AgentAway, BlockedTag, BlockedDigest, BlockedForGood, InvalidRewrite, RulesChanged,
		Mended, WrongContent, UnknownAuthority, BadCertificate, LoginWanted, MirrorDown, SourceDown, RateLimited, Incomplete, NobodyHasIt, NobodyGaveIt, CameBack, Undecided,
	}
}
