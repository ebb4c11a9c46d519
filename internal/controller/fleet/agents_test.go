// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/event"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
	"github.com/mirrorset/mirrorset/internal/controller/operand"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// agentPod is one of the agents' DaemonSet.
func agentPod(name, node string, ready corev1.ConditionStatus, since time.Time) corev1.Pod {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: operand.AgentName, Controller: ptr.To(true)}}},
		Spec:       corev1.PodSpec{NodeName: node},
	}
	if ready != "" {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.Time{Time: since}}}
	}
	return pod
}

// watched is one node over time, as the keeper sees it.
type watched struct {
	node     corev1.Node
	report   mirrorsetv1alpha1.MirrorNode
	pods     map[string]*corev1.Pod
	remember memory
	now      time.Time
	marks    int
	answers  bool // before the next look
}

func watch(report mirrorsetv1alpha1.MirrorNodeStatus) *watched {
	w := &watched{node: fleettest.Node("n"), remember: newMemory(), now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	w.report = mirrorNode(&w.node)
	w.report.Status = report
	w.is("")
	return w
}

// is sets the readiness of the node's Pod.
func (w *watched) is(ready corev1.ConditionStatus) {
	w.pods = podsByNode([]corev1.Pod{agentPod("p", "n", ready, w.now)})
}

// goOn looks at the node each second for a while. The API server takes what is written.
func (w *watched) goOn(during time.Duration) (again time.Duration) {
	for end := w.now.Add(during); ; w.now = w.now.Add(time.Second) {
		c := choresOf(seen{
			nodes: []corev1.Node{w.node}, reports: []mirrorsetv1alpha1.MirrorNode{w.report},
			published: &standing.Published{Revision: 20, Digest: "d"}, pods: w.pods, namespace: "ns", at: w.now,
		}, w.remember)
		if m, ok := c.mark["n"]; ok {
			w.marks++
			w.remember.asked("n")
			fleettest.WithCondition(m.Type, m.Status, m.Reason, m.Message)(&w.report.Status)
			if w.answers {
				w.answer()
			}
		}
		if !w.now.Before(end) {
			return c.again
		}
	}
}

func (w *watched) applied() metav1.Condition { return Member{Status: w.report.Status}.Applied() }

// answer has the agent report that all is in force.
func (w *watched) answer() { w.report.Status = fleettest.Reported(20) }

func TestANodeWithoutAReadyPodForAMinuteIsMarkedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		pods func(w *watched)
		says string
	}{
		"not Ready":             {func(w *watched) { w.is(corev1.ConditionFalse) }, "its agent's Pod has not been Ready since 2026-11-29T12:00:00Z: the files of revision 20 stay on the node, but no agent repairs them or reports on them; look at the Pod with: kubectl -n ns describe pod/p"},
		"not known to be Ready": {func(w *watched) { w.is(corev1.ConditionUnknown) }, "pod/p"},
		"yet to say":            {func(w *watched) { w.is("") }, "its agent's Pod has not been Ready since 2026-11-29T12:00:00Z"},
		"gone":                  {func(w *watched) { w.pods = podsByNode(nil) }, "its agent has had no Pod since 2026-11-29T12:00:00Z: the files of revision 20 stay on the node, but no agent repairs them or reports on them; look at the Pod with: kubectl -n ns describe daemonset/mirrorset-agent"},
		"of another node":       {func(w *watched) { w.pods = podsByNode([]corev1.Pod{agentPod("p", "m", corev1.ConditionTrue, w.now)}) }, "no Pod"},
		"of somebody else": {func(w *watched) {
			p := agentPod("p", "n", corev1.ConditionTrue, w.now)
			p.OwnerReferences = nil
			w.pods = podsByNode([]corev1.Pod{p})
		}, "no Pod"},
		"not Ready for long, say": {func(w *watched) {
			w.pods = podsByNode([]corev1.Pod{agentPod("p", "n", corev1.ConditionFalse, w.now.Add(24*time.Hour))})
		}, "since 2026-11-30T12:00:00Z"},
	} {
		w := watch(fleettest.Reported(20))
		c.pods(w)
		if again := w.goOn(silent - time.Second); w.marks != 0 || again != time.Second {
			t.Errorf("%s: marked %d times before a minute, again in %s", name, w.marks, again)
		}
		if again := w.goOn(time.Hour); w.marks != 1 || again != 0 {
			t.Errorf("%s: marked %d times within an hour, again in %s", name, w.marks, again)
		}
		if a := w.applied(); a.Status != metav1.ConditionUnknown || a.Reason != mirrorsetv1alpha1.ReasonAgentNotReady || !strings.Contains(a.Message, c.says) {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestANodeIsNotMarked(t *testing.T) {
	failing := fleettest.WithCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "disk full")
	for name, c := range map[string]struct {
		report mirrorsetv1alpha1.MirrorNodeStatus
		during func(w *watched)
	}{
		"while its Pod is Ready":       {fleettest.Reported(20), func(w *watched) { w.is(corev1.ConditionTrue); w.goOn(time.Hour) }},
		"while the Pods are not known": {fleettest.Reported(20), func(w *watched) { w.pods = nil; w.goOn(time.Hour) }},
		"when they become known": {fleettest.Reported(20), func(w *watched) {
			w.pods = nil
			w.goOn(time.Hour)
			w.pods = podsByNode(nil)
			w.goOn(silent - time.Second)
		}},
		"whose agent reported a failure": {fleettest.Reported(20, failing), func(w *watched) { w.is(corev1.ConditionFalse); w.goOn(time.Hour) }},
		"whose agent reported a part":    {fleettest.Reported(20, fleettest.Without("s.com")), func(w *watched) { w.is(corev1.ConditionFalse); w.goOn(time.Hour) }},
		"for restarts that are short enough": {fleettest.Reported(20), func(w *watched) {
			for range 20 {
				w.is(corev1.ConditionFalse)
				w.goOn(50 * time.Second)
				w.is(corev1.ConditionTrue)
				w.goOn(time.Second)
			}
		}},
		"for an upgrade by surge": {fleettest.Reported(20), func(w *watched) {
			next := agentPod("a", "n", corev1.ConditionFalse, w.now)
			w.pods = podsByNode([]corev1.Pod{next, agentPod("b", "n", corev1.ConditionTrue, w.now)})
			w.goOn(time.Hour)
			w.pods = podsByNode([]corev1.Pod{agentPod("b", "n", corev1.ConditionTrue, w.now), next})
			w.goOn(time.Hour)
		}},
		"whose agent has only just come": {mirrorsetv1alpha1.MirrorNodeStatus{}, func(w *watched) {
			w.is(corev1.ConditionFalse)
			w.goOn(5 * time.Minute) // it waits for its image
			w.marks = 0             // as one that never reported
			w.answer()
			w.goOn(silent - time.Second) // until its Pod is Ready
		}},
	} {
		w := watch(c.report)
		if c.during(w); w.marks != 0 {
			t.Errorf("%s: marked %d times, as %+v", name, w.marks, w.applied())
		}
	}
}

func TestAnAgentThatAnswersIsBelievedForLonger(t *testing.T) {
	w := watch(fleettest.Reported(20))
	w.is(corev1.ConditionFalse)
	w.goOn(2 * time.Minute)
	for i := range 3 {
		if w.marks != i+1 || w.applied().Reason != mirrorsetv1alpha1.ReasonAgentNotReady {
			t.Fatalf("marked %d times, as %+v", w.marks, w.applied())
		}
		w.answer()
		if again := w.goOn(answers - time.Second); w.marks != i+1 || again != time.Second {
			t.Fatalf("marked %d times, again in %s", w.marks, again)
		}
		w.goOn(2 * time.Second)
	}
	w.answer()
	w.is(corev1.ConditionTrue)
	w.goOn(time.Hour)
	if w.marks != 4 || w.applied().Status != metav1.ConditionTrue {
		t.Errorf("marked %d times, and then: %+v", w.marks, w.applied())
	}
	w.is(corev1.ConditionFalse)
	w.goOn(silent)
	if w.marks != 5 {
		t.Error("not marked a minute after its Pod ceased to be Ready once more")
	}
}

func TestAnAgentThatAnswersAtOnceIsAskedEachTenMinutes(t *testing.T) {
	w := watch(fleettest.Reported(20))
	w.answers = true
	w.is(corev1.ConditionFalse)
	if w.goOn(time.Hour); w.marks != 6 {
		t.Errorf("asked %d times in an hour", w.marks)
	}
}

func TestANodeThatIsBehindWithoutAReadyPodIsMarkedOnce(t *testing.T) {
	w := watch(fleettest.Reported(19))
	w.is(corev1.ConditionFalse)
	w.goOn(time.Hour)
	if w.marks != 1 || w.applied().Reason != mirrorsetv1alpha1.ReasonAgentNotReady {
		t.Errorf("marked %d times, as %+v", w.marks, w.applied())
	}
}

func TestAFleetThatIsRolledIsMarkedOnceANodeThatStaysSilent(t *testing.T) {
	const size = 1000
	now, remembered := time.Now(), newMemory()
	nodes, reports := make([]corev1.Node, size), make([]mirrorsetv1alpha1.MirrorNode, size)
	for i := range size {
		nodes[i] = fleettest.Node(fmt.Sprint("n", i))
		reports[i] = mirrorNode(&nodes[i])
		reports[i].Status = fleettest.Reported(20)
	}
	writes := 0
	for second := range 240 { // 10 nodes a second, each without a Ready Pod for 30 seconds; node 7 for good
		if second%5 != 0 {
			continue
		}
		var pods []corev1.Pod
		for i := range size {
			ready := corev1.ConditionTrue
			if since := second - i/10; since >= 0 && (since < 30 || i == 7) {
				ready = corev1.ConditionFalse
			}
			pods = append(pods, agentPod("p", nodes[i].Name, ready, now))
		}
		for name, m := range choresOf(seen{nodes: nodes, reports: reports, pods: podsByNode(pods), at: now.Add(time.Duration(second) * time.Second)}, remembered).mark {
			writes++
			if name != "n7" {
				t.Errorf("%s is marked", name)
			}
			fleettest.WithCondition(m.Type, m.Status, m.Reason, m.Message)(&reports[7].Status)
		}
	}
	if writes != 1 {
		t.Errorf("%d writes", writes)
	}
}

func TestAPodIsSlimAndOnlyItsReadinessCounts(t *testing.T) {
	full := agentPod("p", "n", corev1.ConditionTrue, time.Now())
	full.Spec.Containers = []corev1.Container{{Name: "agent"}}
	full.Status.Conditions = append([]corev1.PodCondition{{Type: corev1.PodScheduled}}, full.Status.Conditions...)
	full.ManagedFields = []metav1.ManagedFieldsEntry{{}}
	object, err := slimPod(&full)
	slim, ok := object.(*corev1.Pod)
	if err != nil || !ok || len(slim.Spec.Containers)+len(slim.ManagedFields) != 0 || len(slim.Status.Conditions) != 1 || podsByNode([]corev1.Pod{*slim})["n"] == nil || !isReady(slim) {
		t.Fatalf("%+v, %v", object, err)
	}
	other := slim.DeepCopy()
	other.ResourceVersion = "2"
	if agentChanged.Update(event.UpdateEvent{ObjectOld: slim, ObjectNew: other}) {
		t.Error("a heartbeat counts")
	}
	other.Status.Conditions[0].Status = corev1.ConditionFalse
	if !agentChanged.Update(event.UpdateEvent{ObjectOld: slim, ObjectNew: other}) {
		t.Error("a Pod that is not Ready any more does not count")
	}
}

func TestOfTheDaemonSetOnlyThatItWasLookedAtCounts(t *testing.T) {
	made, observed, rolling := &appsv1.DaemonSet{}, &appsv1.DaemonSet{}, &appsv1.DaemonSet{}
	observed.Status.ObservedGeneration = 1
	rolling.Status = appsv1.DaemonSetStatus{ObservedGeneration: 2, UpdatedNumberScheduled: 1}
	if !agentChanged.Update(event.UpdateEvent{ObjectOld: made, ObjectNew: observed}) {
		t.Error("that its controller looked at it does not count")
	}
	if agentChanged.Update(event.UpdateEvent{ObjectOld: observed, ObjectNew: rolling}) {
		t.Error("a step of a rollout counts")
	}
}
