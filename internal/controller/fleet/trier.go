// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// Trier returns the progress of a canary on what it tries, given the sources that change (docs/reference/semantics.md C2 and C3).
func (m Member) Trier(tried *payload.Canary, changed map[string]bool) plan.Trier {
	t := plan.Trier{Node: m.Name}
	if tried == nil {
		return t
	}
	where, why := standing.OfSources(&m.Status, tried.Revision, changed, &standing.Published{Revision: tried.Revision, Digest: tried.Digest})
	trial := m.Status.Trial
	switch {
	case where == standing.Failing && m.Status.Revision > tried.Revision: // it refuses an older revision; the manager publishes again with a higher one
		t.Waiting = why
	case m.Applied().Reason == mirrorsetv1alpha1.ReasonFailed:
		t.Refusal = cmp.Or(m.Applied().Message, "its agent reports a failure")
	case where == standing.Failing:
		t.Failure = cmp.Or(why, "its agent reports a failure")
	case where != standing.InForce:
		t.Waiting = cmp.Or(why, "its agent has not received the change; an agent older than the manager never receives it")
	case m.Applied().Status == metav1.ConditionUnknown:
		t.Waiting = m.Applied().Message
	case trial == nil || trial.Revision != tried.Revision:
		t.Waiting = "its agent has not reported a trial"
	case trial.State == mirrorsetv1alpha1.TrialFailed:
		t.Failure = cmp.Or(trial.Message, "its trial failed")
	case trial.State == mirrorsetv1alpha1.TrialPassed:
		t.Passed = true
	default:
		t.Waiting = "its agent is still checking images"
	}
	return t
}
