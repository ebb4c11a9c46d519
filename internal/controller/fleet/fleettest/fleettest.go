// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fleettest has nodes for tests, and what their agents report.
package fleettest

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

// Node returns a Linux node with containerd; the options change it.
func Node(name string, options ...func(*corev1.Node)) corev1.Node {
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name + "-uid"), Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
	node.Status.NodeInfo.ContainerRuntimeVersion = "containerd://2.4.2"
	for _, o := range options {
		o(&node)
	}
	return node
}

// Tainted adds a taint to a node.
func Tainted(key string, effect corev1.TaintEffect) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: "v", Effect: effect})
	}
}

// Labelled labels a node.
func Labelled(key, value string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Labels[key] = value }
}

// Reported returns what an agent reported; the options change it.
func Reported(revision int64, options ...func(*mirrorsetv1alpha1.MirrorNodeStatus)) mirrorsetv1alpha1.MirrorNodeStatus {
	status := mirrorsetv1alpha1.MirrorNodeStatus{Revision: revision, Digest: "d"}
	WithCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionTrue, mirrorsetv1alpha1.ReasonInForce, "")(&status)
	WithCondition(mirrorsetv1alpha1.ConditionRuntimeReady, metav1.ConditionTrue, mirrorsetv1alpha1.ReasonReady, "")(&status)
	for _, o := range options {
		o(&status)
	}
	return status
}

// WithCondition has an agent report a condition.
func WithCondition(kind string, is metav1.ConditionStatus, reason, message string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
	return func(s *mirrorsetv1alpha1.MirrorNodeStatus) {
		s.Conditions = append(slices.DeleteFunc(s.Conditions, func(c metav1.Condition) bool { return c.Type == kind }),
			metav1.Condition{Type: kind, Status: is, Reason: reason, Message: message})
	}
}

// Without has an agent report that sources are not in force.
func Without(sources ...string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
	return func(s *mirrorsetv1alpha1.MirrorNodeStatus) {
		s.NotInForce = sources
		WithCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "because")(s)
	}
}

// Seeing has an agent see pulls, and report faults of mirrors.
func Seeing(faults ...mirrorsetv1alpha1.MirrorFault) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
	return func(s *mirrorsetv1alpha1.MirrorNodeStatus) {
		sees := true
		s.SeesPulls, s.MirrorFaults = &sees, faults
	}
}

// Fault is one of a mirror.
func Fault(mirror string, state mirrorsetv1alpha1.MirrorFaultState, why string) mirrorsetv1alpha1.MirrorFault {
	return mirrorsetv1alpha1.MirrorFault{Mirror: mirror, State: state, Since: &metav1.Time{}, Message: why}
}

// Watching has an agent report images that would be refused of a source.
func Watching(source string, images ...string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
	return func(s *mirrorsetv1alpha1.MirrorNodeStatus) {
		s.WouldRefuse = append(s.WouldRefuse, mirrorsetv1alpha1.WouldRefuse{Source: source, Count: int32(len(images)), Images: images}) //nolint:gosec // it fits
	}
}
