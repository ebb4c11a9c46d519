// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
)

// ready sums up the two conditions for anyone who waits for a set (S6). Stalled is nil where waiting is enough, as kstatus has it:
// https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md.
func ready(accepted, applied metav1.Condition, p *Published) (ready metav1.Condition, stalled *metav1.Condition) {
	ready, stuck := applied, false
	switch {
	case accepted.Status != metav1.ConditionTrue:
		ready, stuck = accepted, true
	case applied.Reason == configv1.ReasonNodesFailing, applied.Reason == configv1.ReasonDegraded:
		stuck = true
	case applied.Reason == configv1.ReasonNotPublished:
		stuck = p.HeldForGood
	case applied.Reason == configv1.ReasonCanaryFailed, applied.Reason == configv1.ReasonNoCanaries, applied.Reason == configv1.ReasonPaused, applied.Reason == configv1.ReasonRolledBack:
		stuck = true // until somebody acts
	}
	ready.Type = configv1.ConditionReady
	if stuck {
		stalled = &metav1.Condition{Type: configv1.ConditionStalled, Status: metav1.ConditionTrue, Reason: ready.Reason, Message: ready.Message}
	}
	return ready, stalled
}
