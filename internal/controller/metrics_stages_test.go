// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plan"
)

func TestExactlyOneStageIsThePresentOne(t *testing.T) {
	board := &Board{}
	m := NewMetrics(board, &cached{}, operand.AgentSettings{})
	for _, present := range append([]plan.Stage{""}, stages...) { // there is none while the rules cannot be published
		board.put(Snapshot{Stage: present})
		text := scrape(t, m)
		for _, stage := range stages {
			is := 0
			if stage == present {
				is = 1
			}
			wantLines(t, "in stage "+string(present), text, fmt.Sprintf("mirrorset_rollout_stage{stage=%q} %d\n", stage, is))
		}
	}
}

func TestANodeIsJudgedByWhatIsPublishedForIt(t *testing.T) {
	published := &Snapshot{Revision: 20, Digest: "d", Canary: &payload.Canary{Payload: payload.Payload{Revision: 30, Digest: "e"}, Nodes: []string{"canary"}}}
	trying := fleettest.Reported(30, func(s *mirrorsetv1alpha1.MirrorNodeStatus) { s.Digest = "e" })
	for _, c := range []struct {
		name   string
		node   string
		status mirrorsetv1alpha1.MirrorNodeStatus
		want   string
	}{
		{"a canary with what it tries", "canary", trying, nodeInForce},
		{"a canary that has yet to try it", "canary", fleettest.Reported(20), nodeBehind},
		{"a canary that fails with it", "canary", fleettest.Reported(20, applied(metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed)), nodeFailing},
		{"one of the others", "other", fleettest.Reported(20), nodeInForce},
		{"one that was a canary", "other", trying, nodeBehind},
	} {
		if got := stateOf(&fleet.Member{Name: c.node, Status: c.status}, published); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTheWayOfAChangeThatCanariesHadFirstBeginsWhenTheOthersGetIt(t *testing.T) {
	m := NewMetrics(&Board{}, &cached{}, operand.AgentSettings{})
	start := time.Now()
	m.publishing(20, "d", start)
	report := func(name string, after time.Duration) {
		m.seen(&mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Time{Time: start.Add(-time.Hour)}}, Status: fleettest.Reported(20)}, start.Add(after))
	}
	report("canary", 100*time.Millisecond)
	m.publishing(19, "c", start.Add(time.Minute)) // what the others had, which somebody damaged
	m.publishing(20, "d", start.Add(5*time.Minute))
	report("other", 5*time.Minute+200*time.Millisecond)
	report("canary", 6*time.Minute) // which has it all along
	wantLines(t, "after both", scrape(t, m), "mirrorset_propagation_seconds_count 2\n", `mirrorset_propagation_seconds_bucket{le="0.1"} 1`, `mirrorset_propagation_seconds_bucket{le="0.2"} 2`)
}
