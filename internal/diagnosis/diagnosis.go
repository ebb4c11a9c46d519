// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package diagnosis explains why a container waits for its image. It uses the Pod, the events, the rules, the node, and the pulls that the
// node's redirector saw. It is pure and never guesses. It reports what was seen of an attempt as part of that attempt, and only the present
// state as present.
package diagnosis

import (
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Case is all that is known of one container and its image.
type Case struct {
	// Namespace is that of the Pod.
	Namespace string
	Container Container
	// Image is the container's, as runtimes spell it; ImageError says why it cannot be read.
	Image      mirrors.Reference
	ImageError string
	// Events are those about the container, or about the Pod, the oldest first.
	Events []Event
	Node   Node
	// Sets are the rules for the image in the cluster's sets, and InForce the rules that its node should have.
	Sets, InForce Rules
	// Hold is why the node should not have the content of the sets, and HoldRemedy what to do then. Both are empty where it should.
	Hold, HoldRemedy string
	Log              Log
	// Granted is when the logins or authorities for mirrors were changed last; zero where that is not known.
	Granted time.Time
	// Installed is the namespace of Mirrorset.
	Installed string
}

// Container is one that does not run.
type Container struct {
	Name string
	// Image is as the Pod names it.
	Image string
	// Reason and Message are those of its state, which is waiting.
	Reason, Message string
}

// Event is one that the kubelet, or the scheduler, told of.
type Event struct {
	Reason, Message string
	// At is when it was told last.
	At time.Time
	// OfPod says that it names no container.
	OfPod bool
	// Warns says that it is a warning.
	Warns bool
}

// Node is the one that the Pod is on.
type Node struct {
	// Name is empty while the Pod is on none. Unscheduled says why.
	Name, Unscheduled string
	// Runtime is that of its Pods, as in containerd.
	Runtime string
	// Unknown says why nothing is known of it; empty where its MirrorNode was read.
	Unknown string
	// HasAgent says that Mirrorset serves it.
	HasAgent bool
	// Lags is why the node does not have what it should have, and Away why nothing reports for it. Each is empty where that is not the
	// case.
	Lags, Away string
	// Unread says why its runtime does not read what is written there, and NotInForce why the source of the image is not in force.
	Unread, NotInForce string
	// AppliedAt is when its rules came into force.
	AppliedAt time.Time
	// Faults are its mirror faults, and Says the lines of its conditions.
	Faults []Fault
	Says   []string
}

// Fault is what a node says of a mirror.
type Fault struct {
	Mirror, State, Message string
	Since                  time.Time
}

// Rules are the rules for an image.
type Rules struct {
	// Known says that they could be read.
	Known bool
	mirrors.Resolution
	// BlockedBy names the sets that block the source, for people.
	BlockedBy string
	// There are rules for other images of the registry.
	Beside bool
	// Behind are the places that containerd asks for the image by itself while the redirector does not answer, for people; empty where it depends on that.
	Behind []string
}

// Log is what the redirector of the node saw.
type Log struct {
	// Unknown says why it cannot be read; empty where it was.
	Unknown string
	// Since is when it began.
	Since time.Time
	// Pulls are in the order in which they began.
	Pulls []accesslog.Pull
}

// Finding is why a container waits.
type Finding struct {
	Cause Cause `json:"cause"`
	// Message says it in a sentence or two.
	Message string `json:"message"`
	// Remedy is what to do, in lines; empty where there is nothing.
	Remedy string `json:"remedy,omitempty"`
}

// Evidence is something that was seen.
type Evidence struct {
	// At is when; absent where nothing tells.
	At *time.Time `json:"at,omitempty"`
	// Of is who tells, or what it is about, as in mirror HOST/REPOSITORY.
	Of string `json:"of"`
	// Text says what was seen.
	Text string `json:"text"`
}

// Diagnosis is what there is to say of a container.
type Diagnosis struct {
	// Findings are in the order of their certainty. There is at least one.
	Findings []Finding `json:"findings"`
	// Evidence is what they are made of, the oldest first.
	Evidence []Evidence `json:"evidence"`
}

// check looks at a case for one cause, or for a few that exclude each other. Where it is final, nothing else is to be said.
type check func(*view) (found *Finding, final bool)

// checks are in the order of their certainty: first what the Pod itself says, then what is so now whatever any attempt came to, and then what the last
// attempt came to.
var checks = []check{
	unscheduled, notTheImage, pulling, kubeletRefuses, nothingToDoWithMirrors,
	withoutAgent, heldBack, withoutRules, lagging, unread, notInForce, cannotRewrite, withoutMirrors,
	agentAway, beforeTheRules, places,
}

// Diagnose says why a container waits.
func Diagnose(c Case) Diagnosis {
	c.clean()
	v := newView(&c)
	d := Diagnosis{Findings: []Finding{}, Evidence: v.evidence()}
	for _, look := range checks {
		found, final := look(v)
		if found != nil {
			d.Findings = append(d.Findings, *found)
		}
		if final {
			break
		}
	}
	return d
}
