// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
	"github.com/mirrorset/mirrorset/internal/payload"
)

func TestACanaryHasPassedOnlyWhereItSaysSo(t *testing.T) {
	applied := func(is metav1.ConditionStatus, reason string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
		return fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, is, reason, "because")
	}
	trial := func(revision int64, state mirrorsetv1alpha1.TrialState, message string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
		return func(s *mirrorsetv1alpha1.MirrorNodeStatus) {
			s.Trial = &mirrorsetv1alpha1.Trial{Revision: revision, State: state, Message: message}
		}
	}
	lost := func(sources ...string) func(*mirrorsetv1alpha1.MirrorNodeStatus) {
		return func(s *mirrorsetv1alpha1.MirrorNodeStatus) { s.NotInForce = sources }
	}
	passed := trial(20, mirrorsetv1alpha1.TrialPassed, "")
	tried := &payload.Canary{Payload: payload.Payload{Revision: 20, Digest: fleettest.Reported(20).Digest}, Nodes: []string{"n"}}
	for _, c := range []struct {
		name             string
		status           mirrorsetv1alpha1.MirrorNodeStatus
		passed           bool
		failure, waiting string
	}{
		{"all is well", fleettest.Reported(20, passed), true, "", ""},
		{"no report", mirrorsetv1alpha1.MirrorNodeStatus{}, false, "", "has not received the change"},
		{"an earlier revision", fleettest.Reported(19, passed), false, "", "has not received the change"},
		{"it cannot follow", fleettest.Reported(19, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), false, "refused: because", ""},
		{"it failed afterwards", fleettest.Reported(20, passed, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), false, "refused: because", ""},
		{"it refuses what is older than what it has, as after etcd was restored", fleettest.Reported(30, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), false, "", "because"},
		{"a changed source is not in force", fleettest.Reported(20, passed, lost("s.com"), applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce)), false, "because", ""},
		{"another source is not in force", fleettest.Reported(20, passed, lost("t.com"), applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce)), true, "", ""},
		{"its agent is gone", fleettest.Reported(20, passed, applied(metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentNotReady)), false, "", "because"},
		{"it tells of no trial", fleettest.Reported(20), false, "", "has not reported a trial"},
		{"it tells of an earlier trial", fleettest.Reported(20, trial(19, mirrorsetv1alpha1.TrialPassed, "")), false, "", "has not reported a trial"},
		{"it still asks", fleettest.Reported(20, trial(20, mirrorsetv1alpha1.TrialRunning, "")), false, "", "is still checking images"},
		{"its trial failed", fleettest.Reported(20, trial(20, mirrorsetv1alpha1.TrialFailed, "q cannot be pulled")), false, "q cannot be pulled", ""},
		{"its trial failed, and it does not say why", fleettest.Reported(20, trial(20, mirrorsetv1alpha1.TrialFailed, "")), false, "its trial failed", ""},
	} {
		got := fleet.Member{Name: "n", Status: c.status}.Trier(tried, map[string]bool{"s.com": true})
		if got.Refusal != "" {
			got.Failure = "refused: " + got.Refusal
		}
		if got.Passed != c.passed || got.Failure != c.failure || !strings.Contains(got.Waiting, c.waiting) || (c.waiting == "" && c.failure == "" && !c.passed && got.Failure != "") {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if got := (fleet.Member{Name: "n", Status: fleettest.Reported(20, passed)}).Trier(nil, nil); got.Passed || got.Failure != "" {
		t.Errorf("nothing is tried: %+v", got)
	}
}
