// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestatus

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

func TestANodesObjectSaysWhatCameOfATrial(t *testing.T) {
	count := func(n int32) *int32 { return &n }
	passed := &mirrorsetv1alpha1.Trial{Revision: 1, State: mirrorsetv1alpha1.TrialPassed, Images: count(3), Unpullable: count(0)}
	failed := &mirrorsetv1alpha1.Trial{Revision: 1, State: mirrorsetv1alpha1.TrialFailed, Images: count(3), Unpullable: count(1), Message: "1 image"}
	byPulls := &mirrorsetv1alpha1.Trial{Revision: 1, State: mirrorsetv1alpha1.TrialFailed, Images: count(3), Unpullable: count(0), FailedPulls: count(9), Message: "9 pulls"}
	some := &mirrorsetv1alpha1.Trial{Revision: 1, State: mirrorsetv1alpha1.TrialPassed, Images: count(3), NotAsked: count(5), Unpullable: count(0), Message: "5 not"}
	hung := &mirrorsetv1alpha1.Trial{Revision: 1, State: mirrorsetv1alpha1.TrialFailed, Images: count(0), NotAsked: count(2), Unpullable: count(0), Message: "none"}
	runningOne := &mirrorsetv1alpha1.Trial{Revision: 1, State: mirrorsetv1alpha1.TrialRunning}
	none := &mirrorsetv1alpha1.Trial{Revision: 1, State: mirrorsetv1alpha1.TrialPassed, Images: count(0), Unpullable: count(0)}
	at := func(revision int64, digest string, trial *mirrorsetv1alpha1.Trial) Outcome {
		return Outcome{Revision: revision, Digest: digest, Trial: trial}
	}
	for name, c := range map[string]struct {
		before, now Outcome
		want        int64 // the trial's revision; 0 for none
		pullable    metav1.ConditionStatus
		message     string
	}{
		"it passed":                      {at(1, "d", nil), at(1, "d", passed), 1, metav1.ConditionTrue, "affects 3 of the images that run here; the agent checked 3 and did not check 0; every image"},
		"it failed":                      {at(1, "d", nil), at(1, "d", failed), 1, metav1.ConditionFalse, "1 image"},
		"it failed by pulls":             {at(1, "d", nil), at(1, "d", byPulls), 1, metav1.ConditionUnknown, "affects 3 of the images that run here; the agent checked 3 and did not check 0; 9 pulls"},
		"not all were asked for":         {at(1, "d", nil), at(1, "d", some), 1, metav1.ConditionUnknown, "affects 8 of the images that run here; the agent checked 3 and did not check 5; 5 not"},
		"none was asked for":             {at(1, "d", nil), at(1, "d", hung), 1, metav1.ConditionUnknown, "affects 2 of the images that run here; the agent checked 0 and did not check 2; none"},
		"it touched nothing that runs":   {at(1, "d", nil), at(1, "d", none), 1, "", ""},
		"it is on":                       {at(1, "d", failed), at(1, "d", runningOne), 1, "", ""},
		"a new agent, the same rules":    {at(1, "d", failed), at(1, "d", nil), 1, metav1.ConditionFalse, "1 image"},
		"the same under a later one":     {at(1, "d", passed), at(2, "d", nil), 2, metav1.ConditionTrue, "affects 3 of the images that run here; the agent checked 3 and did not check 0; every image"},
		"a new agent, other rules":       {at(1, "d", failed), at(2, "e", nil), 0, "", ""},
		"a new agent, and a trial ended": {at(1, "d", runningOne), at(1, "d", nil), 0, "", ""},
		"a trial of others":              {at(2, "d", failed), at(2, "d", nil), 0, "", ""},
		"nothing in force":               {at(1, "d", failed), at(0, "", nil), 0, "", ""},
	} {
		status := c.now.Status(time.Now(), c.before.Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, ""), "")
		got := int64(0)
		if status.Trial != nil {
			got = status.Trial.Revision
		}
		condition := meta.FindStatusCondition(status.Conditions, mirrorsetv1alpha1.ConditionImagesPullable)
		if condition == nil {
			condition = &metav1.Condition{}
		}
		if got != c.want || condition.Status != c.pullable || !strings.Contains(condition.Message, c.message) {
			t.Errorf("%s: got %+v, %+v", name, status.Trial, condition)
		}
	}
	before := at(1, "d", passed).Status(time.Now().Add(-time.Hour), mirrorsetv1alpha1.MirrorNodeStatus{}, "")
	if now := at(1, "d", passed).Status(time.Now(), before, ""); !slices.EqualFunc(now.Conditions, before.Conditions, func(a, b metav1.Condition) bool { return a.LastTransitionTime.Equal(&b.LastTransitionTime) }) {
		t.Error("what stays the same does not keep its time")
	}
}
