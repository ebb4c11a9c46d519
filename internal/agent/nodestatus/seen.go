// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestatus

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// setSeen copies what was seen of the pulls of the node's Pods (V5 to V7) to a status. It copies nothing if the Pods' runtime is not the one whose
// pulls are seen, or does not read its files.
func (o Outcome) setSeen(status *mirrorsetv1alpha1.MirrorNodeStatus, runtime nodecheck.Runtime, ready metav1.Condition) {
	sees := runtime != "" && o.Observed.Runtime == runtime && ready.Status != metav1.ConditionFalse
	status.SeesPulls = &sees
	if !sees {
		return
	}
	for _, f := range o.Observed.Faults {
		status.MirrorFaults = append(status.MirrorFaults, mirrorsetv1alpha1.MirrorFault{
			Mirror: string(f.Mirror), State: mirrorsetv1alpha1.MirrorFaultState(f.State), Since: &metav1.Time{Time: f.Since.Truncate(time.Second)}, Message: f.Why,
		})
	}
	for _, w := range o.Observed.WouldRefuse {
		status.WouldRefuse = append(status.WouldRefuse, mirrorsetv1alpha1.WouldRefuse{
			Source: string(w.Source), Count: int32(min(w.Count, 1<<30)), Images: w.Images, //nolint:gosec // it fits
		})
	}
}

// apart is how long after a write of other faults, or of other images that would be refused, the next one may follow (V6 and V7).
const apart = time.Minute

// Pace decides when these fields are worth a write. The zero value is for an agent that has written none.
type Pace struct {
	at time.Time // of the last write
}

// Hold keeps the earlier values if it is too early to write the new ones, and returns how long to wait then. If other fields must be written, the new
// values are written with them.
func (p *Pace) Hold(before mirrorsetv1alpha1.MirrorNodeStatus, status *mirrorsetv1alpha1.MirrorNodeStatus, now time.Time) (left time.Duration) {
	if left = p.at.Add(apart).Sub(now); left <= 0 || sameSeen(before, *status) {
		return 0
	}
	held := *status
	held.MirrorFaults, held.WouldRefuse = before.MirrorFaults, before.WouldRefuse
	if !equality.Semantic.DeepEqual(held, before) {
		return 0
	}
	*status = held
	return left
}

// Wrote records that a status was written.
func (p *Pace) Wrote(before, status mirrorsetv1alpha1.MirrorNodeStatus, now time.Time) {
	if !sameSeen(before, status) {
		p.at = now
	}
}

func sameSeen(a, b mirrorsetv1alpha1.MirrorNodeStatus) bool {
	return equality.Semantic.DeepEqual(a.MirrorFaults, b.MirrorFaults) && equality.Semantic.DeepEqual(a.WouldRefuse, b.WouldRefuse)
}
