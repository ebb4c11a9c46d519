// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package standing compares what a node's agent reports with what is published. The status of sets uses it, and so does everything that
// shows nodes.
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

// Standing is how far a node has followed what is published.
type Standing string

// The standings.
const (
	// Failing: the node reports that it cannot follow, or that part of what it has is not in force.
	Failing Standing = "Failing"
	// Silent: the node's agent has stopped reporting.
	Silent Standing = "Silent"
	// Behind: the node has not taken what is published yet.
	Behind Standing = "Behind"
	// Ahead: the node has a later revision than the published one, for example after etcd was restored. The manager publishes a higher
	// revision.
	Ahead Standing = "Ahead"
	// InForce: everything published is in force on the node.
	InForce Standing = "InForce"
)

// Published names what should be in force on the nodes.
type Published struct {
	Revision int64
	Digest   string
	// Provisional means that nodes with rules wait for the next revision.
	Provisional bool
	// Believed is the highest revision of a node that the manager publishes above. It is 0 where that is not known.
	Believed int64
	// Canary is what should be in force on the nodes in Canaries instead. It is nil where all nodes should have the same revision.
	Canary   *Published
	Canaries []string
}

// For returns what should be in force on a node (docs/reference/semantics.md C1).
func (p *Published) For(node string) *Published {
	if p != nil && p.Canary != nil && slices.Contains(p.Canaries, node) {
		return p.Canary
	}
	return p
}

const otherContent = "it has different content under the same revision number"

// Of returns where a node stands with regard to what is published, which is nil where that is not known. Why gives details and may be
// empty.
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

// OfSources returns where a node stands with regard to some sources: Failing, Behind or InForce. It compares the node with the first
// revision that contains these sources, even when another revision is published. Why gives details about a node that is not there yet, and
// may be empty.
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
	if n := len(node.NotInForce); n >= mirrorsetv1alpha1.MaxNotInForce { // sources after the last listed one may be missing
		for source := range sources {
			if source > node.NotInForce[n-1] {
				return Failing, applied.Message
			}
		}
	}
	return InForce, ""
}

// Suspect reports whether [OfSources] can return Failing for a node, for any sources.
func Suspect(node *mirrorsetv1alpha1.MirrorNodeStatus) bool {
	applied, ready := Condition(node, mirrorsetv1alpha1.ConditionApplied), Condition(node, mirrorsetv1alpha1.ConditionRuntimeReady)
	return applied.Reason == mirrorsetv1alpha1.ReasonFailed || unread(applied, ready) || len(node.NotInForce) > 0
}

// unread reports whether the runtime does not read what is written. This stays true if the agent stops reporting afterwards.
func unread(applied, ready metav1.Condition) bool {
	return applied.Status != metav1.ConditionTrue && ready.Status == metav1.ConditionFalse
}

// about returns the line of a node's message that is about a source. It returns the complete message where no line is about that source
// alone.
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

// isPassed reports whether a node has a later revision than the published one, with a content that is no longer known.
func (p *Published) isPassed(node *mirrorsetv1alpha1.MirrorNodeStatus) bool {
	return p != nil && p.Revision > 0 && node.Revision > p.Revision
}

// isBeyond reports whether the manager does not believe a node's later revision.
func (p *Published) isBeyond(node *mirrorsetv1alpha1.MirrorNodeStatus) bool {
	return p.isPassed(node) && p.Believed > 0 && node.Revision > p.Believed
}

// passed describes a node that has a later revision, and what happens next.
func (p *Published) passed(node *mirrorsetv1alpha1.MirrorNodeStatus) string {
	if p.isBeyond(node) {
		return fmt.Sprintf("it has revision %d, more than a day ahead of the manager's clock, and the manager does not publish a revision above that. Correct the manager's clock; if that clock is right, "+
			"label the node mirrorset.io/agent=disabled, remove /var/lib/mirrorset/payload.json on the node, then remove the label", node.Revision)
	}
	return fmt.Sprintf("it has a later revision than the published revision %d; the manager will publish again with a higher number", p.Revision)
}

// hasOther reports whether a node has content that differs from the published content of the same revision.
func (p *Published) hasOther(node *mirrorsetv1alpha1.MirrorNodeStatus) bool {
	return p != nil && node.Revision == p.Revision && node.Digest != p.Digest
}

// Condition returns a condition of the node, or the zero value where the node does not have it.
func Condition(node *mirrorsetv1alpha1.MirrorNodeStatus, kind string) metav1.Condition {
	if c := meta.FindStatusCondition(node.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}
