// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package standing tells where a node is with regard to what is published, by what its agent reported: for the status of sets,
// and for whoever asks about nodes.
package standing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

// Standing is where a node is.
type Standing string

// The standings.
const (
	// Failing: it reports that it cannot follow, or that not all of what it has is in force.
	Failing Standing = "Failing"
	// Silent: its agent says nothing.
	Silent Standing = "Silent"
	// Behind: it has yet to follow.
	Behind Standing = "Behind"
	// Ahead: it has a later revision than what is published, as after etcd was restored. The manager publishes above it.
	Ahead Standing = "Ahead"
	// InForce: it has all of it in force.
	InForce Standing = "InForce"
)

// Published names what nodes are to have in force.
type Published struct {
	Revision int64
	Digest   string
	// Provisional says that nodes with rules wait for what follows.
	Provisional bool
	// Believed is the highest revision of a node that the manager publishes above; 0 where that is not known.
	Believed int64
	// Canary is what the nodes of Canaries are to have in force instead; nil where all are to have the same.
	Canary   *Published
	Canaries []string
}

// For returns what a node is to have in force (docs/reference/semantics.md C1).
func (p *Published) For(node string) *Published {
	if p != nil && p.Canary != nil && slices.Contains(p.Canaries, node) {
		return p.Canary
	}
	return p
}

const otherContent = "it has different content under the same revision number"

// Of tells where a node is with regard to what is published, which is nil where nothing tells. Why says more; it may be empty.
func Of(node *mirrorsetv1alpha1.MirrorNodeStatus, p *Published) (where Standing, why string) {
	applied, ready := Condition(node, mirrorsetv1alpha1.ConditionApplied), Condition(node, mirrorsetv1alpha1.ConditionRuntimeReady)
	switch {
	case applied.Type == "":
		return Silent, "no agent has reported from this node"
	case applied.Reason == mirrorsetv1alpha1.ReasonFailed && p.isBeyond(node):
		return Failing, p.passed(node)
	case applied.Reason == mirrorsetv1alpha1.ReasonFailed:
		return Failing, applied.Message
	case applied.Status == metav1.ConditionUnknown:
		return Silent, applied.Message
	case p != nil && node.Revision < p.Revision && p.Provisional && node.Revision > 0:
		return Behind, fmt.Sprintf("it keeps its rules, because revision %d has no rules and may be a mistake", p.Revision)
	case p != nil && node.Revision < p.Revision:
		return Behind, ""
	case p != nil && node.Revision > p.Revision:
		return Ahead, p.passed(node)
	case p.hasOther(node):
		return Behind, otherContent
	case applied.Status == metav1.ConditionFalse:
		return Failing, applied.Message
	case ready.Status != metav1.ConditionTrue:
		return InForce, ready.Message
	}
	return InForce, ""
}

// OfSources tells where a node is with regard to some sources, by the first revision that holds them, when another one, or the
// same, is published: Failing, Behind or InForce. Why says more about a node that is not there yet; it may be empty.
func OfSources(node *mirrorsetv1alpha1.MirrorNodeStatus, revision int64, sources map[string]bool, p *Published) (where Standing, why string) {
	applied, ready := Condition(node, mirrorsetv1alpha1.ConditionApplied), Condition(node, mirrorsetv1alpha1.ConditionRuntimeReady)
	switch {
	case p.isBeyond(node) && applied.Reason == mirrorsetv1alpha1.ReasonFailed:
		return Failing, p.passed(node)
	case (node.Revision < revision || p.isPassed(node)) && applied.Reason == mirrorsetv1alpha1.ReasonFailed:
		return Failing, applied.Message
	case node.Revision < revision && applied.Status == metav1.ConditionUnknown:
		return Behind, applied.Message
	case node.Revision < revision:
		return Behind, ""
	case p.isPassed(node):
		return Behind, p.passed(node)
	case p.hasOther(node):
		return Behind, otherContent
	case unread(applied, ready):
		return Failing, ready.Message
	}
	for _, source := range node.NotInForce {
		if sources[source] {
			return Failing, about(applied.Message, source)
		}
	}
	if n := len(node.NotInForce); n >= mirrorsetv1alpha1.MaxNotInForce { // what comes behind the last one may be missing
		for source := range sources {
			if source > node.NotInForce[n-1] {
				return Failing, applied.Message
			}
		}
	}
	return InForce, ""
}

// Suspect tells whether [OfSources] can say Failing of a node, for whatever sources.
func Suspect(node *mirrorsetv1alpha1.MirrorNodeStatus) bool {
	applied, ready := Condition(node, mirrorsetv1alpha1.ConditionApplied), Condition(node, mirrorsetv1alpha1.ConditionRuntimeReady)
	return applied.Reason == mirrorsetv1alpha1.ReasonFailed || unread(applied, ready) || len(node.NotInForce) > 0
}

// unread tells whether the runtime does not read what is written. An agent that went silent afterwards changes nothing about that.
func unread(applied, ready metav1.Condition) bool {
	return applied.Status != metav1.ConditionTrue && ready.Status == metav1.ConditionFalse
}

// about returns the line of a node's message that is about a source, where one can be told; else all of it.
func about(message, source string) string {
	registry, _, _ := strings.Cut(source, "/")
	for _, named := range []string{strconv.Quote(source), "registry " + registry + ":", "source " + source + ","} {
		for line := range strings.SplitSeq(message, "\n") {
			if strings.Contains(line, named) {
				return line
			}
		}
	}
	return message
}

// isPassed tells whether a node has a later revision than what is published, with a content that nothing tells any more.
func (p *Published) isPassed(node *mirrorsetv1alpha1.MirrorNodeStatus) bool {
	return p != nil && p.Revision > 0 && node.Revision > p.Revision
}

// isBeyond reports whether the manager does not believe a node's later revision.
func (p *Published) isBeyond(node *mirrorsetv1alpha1.MirrorNodeStatus) bool {
	return p.isPassed(node) && p.Believed > 0 && node.Revision > p.Believed
}

// passed says that a node has a later revision, and what becomes of it.
func (p *Published) passed(node *mirrorsetv1alpha1.MirrorNodeStatus) string {
	if p.isBeyond(node) {
		return fmt.Sprintf("it has revision %d, more than a day ahead of the manager's clock, and the manager does not publish a revision above that; correct the manager's clock; if that clock is right, "+
			"label the node mirrorset.io/agent=disabled, remove /var/lib/mirrorset/payload.json on the node, then remove the label", node.Revision)
	}
	return fmt.Sprintf("it has a later revision than the published revision %d; the manager will publish again with a higher number", p.Revision)
}

// hasOther tells whether a node has something else than what is published under the same revision.
func (p *Published) hasOther(node *mirrorsetv1alpha1.MirrorNodeStatus) bool {
	return p != nil && node.Revision == p.Revision && node.Digest != p.Digest
}

// Condition returns one of the node's; the zero value where it has none.
func Condition(node *mirrorsetv1alpha1.MirrorNodeStatus, kind string) metav1.Condition {
	if c := meta.FindStatusCondition(node.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}
