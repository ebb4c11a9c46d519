// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestatus

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// seen is what containerd's pulls showed: mirrors at fault, and so many images that would be refused.
func seen(wouldRefuse int, faulty ...string) sink.Observed {
	o := sink.Observed{Runtime: nodecheck.Containerd}
	for _, m := range faulty {
		o.Faults = append(o.Faults, sink.MirrorFault{Mirror: "m.com/q", State: "Silent", Since: began, Why: m})
	}
	if wouldRefuse > 0 {
		o.WouldRefuse = []sink.WouldRefuse{{Source: "s.com", Count: wouldRefuse, Images: []string{"s.com/a:1"}}}
	}
	return o
}

func TestANodeSaysWhatItSeesOfPulls(t *testing.T) { // V5 to V7
	const containerd, crio = "containerd://2.4.2", "cri-o://1.34.0"
	none := seen(1, "no answer")
	none.Runtime = ""
	for name, c := range map[string]struct {
		observed sink.Observed
		runtime  string
		checked  nodecheck.Report
		sees     bool
	}{
		"containerd":                           {seen(1, "no answer"), containerd, nodecheck.Report{}, true},
		"containerd that may not read it":      {seen(1, "no answer"), containerd, found(nodecheck.Containerd, nodecheck.Unsure), true},
		"containerd that does not read it":     {seen(1, "no answer"), containerd, found(nodecheck.Containerd, nodecheck.Unread), false},
		"containerd, and no redirector serves": {none, containerd, nodecheck.Report{}, false},
		"CRI-O beside a redirector":            {seen(1, "no answer"), crio, nodecheck.Report{}, false},
		"a runtime that is not known":          {seen(1, "no answer"), "", nodecheck.Report{}, false},
		"one that is not known, and none sees": {none, "docker://27", nodecheck.Report{}, false},
	} {
		status := Outcome{Revision: 1, Checked: c.checked, Observed: c.observed}.Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, c.runtime)
		want := "[] []"
		if c.sees {
			want = "[m.com/q Silent 2026-01-02T03:04:05Z no answer] [s.com 1 [s.com/a:1]]"
		}
		got := "[] []"
		if len(status.MirrorFaults) == 1 && len(status.WouldRefuse) == 1 {
			f, w := status.MirrorFaults[0], status.WouldRefuse[0]
			got = fmt.Sprintf("[%s %s %s %s] [%s %d %v]", f.Mirror, f.State, f.Since.Format(time.RFC3339Nano), f.Message, w.Source, w.Count, w.Images)
		}
		if status.SeesPulls == nil || *status.SeesPulls != c.sees || got != want {
			t.Errorf("%s: got %+v", name, status)
		}
	}
}

// paced has an agent write what it sees at times, in seconds, and returns when it wrote and how long it was to wait otherwise.
func paced(t *testing.T, steps []step) (writes, waits []int) {
	t.Helper()
	var p Pace
	before := Outcome{Revision: 1, Observed: seen(0)}.Status(began, mirrorsetv1alpha1.MirrorNodeStatus{}, "containerd://2")
	for _, s := range steps {
		now := began.Add(time.Duration(s.at) * time.Second)
		status := Outcome{Revision: max(1, s.revision), Observed: s.seen}.Status(now, before, "containerd://2")
		if left := p.Hold(before, &status, now); left > 0 {
			waits = append(waits, int(left.Seconds()))
		}
		if same(before, status) {
			continue
		}
		p.Wrote(before, status, now)
		writes = append(writes, s.at)
		before = status
	}
	return writes, waits
}

type step struct {
	at       int
	revision int64
	seen     sink.Observed
}

func same(a, b mirrorsetv1alpha1.MirrorNodeStatus) bool {
	return sameSeen(a, b) && a.Revision == b.Revision
}

func TestWhatIsSeenIsWrittenAtOnceAndThenOnceAMinute(t *testing.T) { // V6
	for name, c := range map[string]struct {
		steps         []step
		writes, waits string
	}{
		"nothing":                     {[]step{{0, 1, seen(0)}, {60, 1, seen(0)}, {600, 1, seen(0)}}, "[]", "[]"},
		"the first image":             {[]step{{5, 1, seen(1)}, {20, 1, seen(1)}}, "[5]", "[]"},
		"more of them":                {[]step{{5, 1, seen(1)}, {20, 1, seen(2)}, {40, 1, seen(3)}, {65, 1, seen(3)}, {70, 1, seen(4)}, {125, 1, seen(5)}}, "[5 65 125]", "[45 25 55]"},
		"after a while":               {[]step{{5, 1, seen(1)}, {300, 1, seen(2)}}, "[5 300]", "[]"},
		"a fault, and its end":        {[]step{{5, 1, seen(0, "no answer")}, {6, 1, seen(0)}, {65, 1, seen(0)}}, "[5 65]", "[59]"},
		"one that comes and goes":     {[]step{{5, 1, seen(0, "no answer")}, {6, 1, seen(0)}, {7, 1, seen(0, "no answer")}, {65, 1, seen(0, "no answer")}}, "[5]", "[59]"},
		"with another revision":       {[]step{{5, 1, seen(1)}, {20, 2, seen(2)}, {30, 2, seen(3)}}, "[5 20]", "[50]"},
		"another revision alone":      {[]step{{5, 1, seen(1)}, {20, 2, seen(1)}, {66, 2, seen(3)}}, "[5 20 66]", "[]"},
		"the words of a fault":        {[]step{{5, 1, seen(0, "no answer")}, {10, 1, seen(0, "503")}}, "[5]", "[55]"},
		"another one, a minute later": {[]step{{5, 1, seen(0, "no answer")}, {65, 1, seen(0, "503")}}, "[5 65]", "[]"},
	} {
		writes, waits := paced(t, c.steps)
		if fmt.Sprint(writes) != c.writes || fmt.Sprint(waits) != c.waits {
			t.Errorf("%s: written at %v, want %s; waits %v, want %s", name, writes, c.writes, waits, c.waits)
		}
	}
}

func TestAnotherWordOfTheManagerTakesWhatIsSeenAlong(t *testing.T) {
	var p Pace
	before := Outcome{Revision: 1, Observed: seen(1)}.Status(began, mirrorsetv1alpha1.MirrorNodeStatus{}, "containerd://2")
	p.Wrote(mirrorsetv1alpha1.MirrorNodeStatus{}, before, began)
	marked := *before.DeepCopy()
	marked.Conditions[1] = metav1.Condition{Type: mirrorsetv1alpha1.ConditionApplied, Status: metav1.ConditionUnknown, Reason: mirrorsetv1alpha1.ReasonAgentNotReady}
	status := Outcome{Revision: 1, Observed: seen(2)}.Status(began, marked, "containerd://2")
	if left := p.Hold(marked, &status, began); left != 0 || status.WouldRefuse[0].Count != 2 {
		t.Errorf("waits %s with %+v", left, status)
	}
}
