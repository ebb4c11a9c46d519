// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

// SetPullable sets the condition that reports if the running images of a node could be pulled again, as far as its trial shows. It sets nothing if
// the change touches no running image.
func SetPullable(status *mirrorsetv1alpha1.MirrorNodeStatus, now time.Time) {
	t := status.Trial
	if t == nil || number(t.Images)+number(t.NotAsked) == 0 {
		meta.RemoveStatusCondition(&status.Conditions, mirrorsetv1alpha1.ConditionImagesPullable)
		return
	}
	touched := fmt.Sprintf("the last change of rules affects %d of the images that run here; the agent checked %d and did not check %d", number(t.Images)+number(t.NotAsked), number(t.Images), number(t.NotAsked))
	condition := metav1.Condition{Type: mirrorsetv1alpha1.ConditionImagesPullable, LastTransitionTime: metav1.Time{Time: now.Truncate(time.Second)}}
	switch {
	case number(t.Unpullable) > 0:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, mirrorsetv1alpha1.ReasonUnpullable, t.Message
	case number(t.FailedPulls) > 0:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonPullsFail, touched+"; "+t.Message
	case number(t.NotAsked) > 0:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNotAsked, touched+"; "+t.Message
	default:
		condition.Status, condition.Reason = metav1.ConditionTrue, mirrorsetv1alpha1.ReasonPullable
		condition.Message = touched + "; every image that could be pulled before still can"
	}
	meta.SetStatusCondition(&status.Conditions, condition)
}

// number is 0 where nothing is said.
func number(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}
