// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// CurrentRevision is the one of [Current].
const CurrentRevision = 1795573438818

// Current is what is published of no set.
var Current = func() payload.Payload {
	p := payload.New(CurrentRevision, []byte("text"))
	p.Sets = kinds.DigestOf(nil)
	return p
}()

// NodeAt returns a node that has a revision in force for three minutes.
func NodeAt(name string, revision int64, changes ...func(*mirrorsetv1alpha1.MirrorNode)) mirrorsetv1alpha1.MirrorNode {
	node := mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: name}}
	node.Status = mirrorsetv1alpha1.MirrorNodeStatus{
		Revision: revision, Digest: Current.Digest, Runtimes: []string{"containerd"},
		AppliedAt: &metav1.Time{Time: time.Now().Add(-3*time.Minute - 30*time.Second)},
		Conditions: []metav1.Condition{
			{Type: "Applied", Status: metav1.ConditionTrue, Reason: "InForce", Message: "all rules are in force"},
			{Type: "RuntimeReady", Status: metav1.ConditionTrue, Reason: "Ready", Message: "nothing keeps it"},
		},
	}
	for _, change := range changes {
		change(&node)
	}
	return node
}

// Says gives a node one condition.
func Says(kind string, status metav1.ConditionStatus, reason, message string) func(*mirrorsetv1alpha1.MirrorNode) {
	return func(node *mirrorsetv1alpha1.MirrorNode) {
		at := slices.IndexFunc(node.Status.Conditions, func(c metav1.Condition) bool { return c.Type == kind })
		node.Status.Conditions[at] = metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
	}
}

// SaysNothing is of a node without a report.
func SaysNothing(node *mirrorsetv1alpha1.MirrorNode) {
	node.Status = mirrorsetv1alpha1.MirrorNodeStatus{}
	node.Annotations = map[string]string{mirrorsetv1alpha1.RuntimeAnnotation: "cri-o://1.34.1"}
}
