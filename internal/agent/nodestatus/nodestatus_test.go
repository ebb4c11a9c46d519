// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestatus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

// found returns a check with one problem.
func found(runtime nodecheck.Runtime, effect nodecheck.Effect) nodecheck.Report {
	return nodecheck.Report{Runtimes: []nodecheck.Runtime{nodecheck.CRIO, nodecheck.Containerd}, Problems: []nodecheck.Problem{{Runtime: runtime, Effect: effect, Message: "it is so", Remedy: "do this"}}}
}

func TestANodeSaysWhatIsInForceOnIt(t *testing.T) {
	const containerd, crio = "containerd://2.4.2", "cri-o://1.34.0"
	withheld := []sink.Finding{{Reason: "LocalBlock", Message: "blocked here", Runtime: nodecheck.CRIO, Sources: []string{"b.com", "a.com"}}, {Reason: "ShadowsLocal", Message: "odd", Runtime: nodecheck.CRIO}}
	for _, c := range []struct {
		name    string
		outcome Outcome
		runtime string
		applied metav1.ConditionStatus
		reason  string
		message string
		ready   metav1.ConditionStatus
		missing []string
	}{
		{"all", Outcome{Revision: 1}, containerd, metav1.ConditionTrue, mirrorsetv1alpha1.ReasonInForce, "revision 1", metav1.ConditionTrue, nil},
		{"nothing yet", Outcome{}, containerd, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "the manager has published no rules", metav1.ConditionTrue, nil},
		{"a failure", Outcome{Revision: 1, Err: errors.New("disk full")}, containerd, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "disk full", metav1.ConditionTrue, nil},
		{"all but two sources", Outcome{Revision: 1, Findings: withheld}, crio, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "blocked here", metav1.ConditionTrue, []string{"a.com", "b.com"}},
		{"two sources for a runtime that the Pods do not use", Outcome{Revision: 1, Findings: withheld}, containerd, metav1.ConditionTrue, mirrorsetv1alpha1.ReasonInForce, "", metav1.ConditionTrue, nil},
		{"two sources for some runtime", Outcome{Revision: 1, Findings: withheld}, "", metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "blocked here", metav1.ConditionTrue, []string{"a.com", "b.com"}},
		{"what the runtime does not read", Outcome{Revision: 1, Checked: found(nodecheck.Containerd, nodecheck.Unread)}, containerd, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "it is so: do this", metav1.ConditionFalse, nil},
		{"what the runtime reads at its next start", Outcome{Revision: 1, Checked: found(nodecheck.CRIO, nodecheck.Late)}, crio, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonNotInForce, "it is so", metav1.ConditionFalse, nil},
		{"what the runtime may not read", Outcome{Revision: 1, Checked: found(nodecheck.Containerd, nodecheck.Unsure)}, containerd, metav1.ConditionTrue, mirrorsetv1alpha1.ReasonInForce, "", metav1.ConditionUnknown, nil},
		{"what another runtime does not read", Outcome{Revision: 1, Checked: found(nodecheck.CRIO, nodecheck.Unread)}, containerd, metav1.ConditionTrue, mirrorsetv1alpha1.ReasonInForce, "", metav1.ConditionTrue, nil},
	} {
		status := c.outcome.Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, c.runtime)
		applied := meta.FindStatusCondition(status.Conditions, mirrorsetv1alpha1.ConditionApplied)
		ready := meta.FindStatusCondition(status.Conditions, mirrorsetv1alpha1.ConditionRuntimeReady)
		if applied.Status != c.applied || applied.Reason != c.reason || !strings.Contains(applied.Message, c.message) || ready.Status != c.ready || !slices.Equal(status.NotInForce, c.missing) {
			t.Errorf("%s: got %+v", c.name, status)
		}
	}
}

func TestAStatusHasRoomForAllSourcesThatImagesCanBeOf(t *testing.T) {
	var sources []string
	for i := range 2 * mirrorsetv1alpha1.MaxNotInForce {
		sources = append(sources, fmt.Sprintf("%0*d", mirrors.MaxNameLength, i), fmt.Sprintf("%0*d", mirrors.MaxNameLength+1, i))
	}
	status := Outcome{Revision: 1, Findings: []sink.Finding{{Runtime: nodecheck.CRIO, Sources: sources}}}.Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, "cri-o://1.34.0")
	if n := len(status.NotInForce); n != mirrorsetv1alpha1.MaxNotInForce {
		t.Errorf("%d sources", n)
	}
	for _, source := range status.NotInForce {
		if len(source) > mirrors.MaxNameLength {
			t.Fatalf("one of %d bytes is among them", len(source))
		}
	}
}

func TestARuntimeCountsAsServedIfItReadsTheRules(t *testing.T) {
	for effect, want := range map[nodecheck.Effect][]string{nodecheck.Mild: {"containerd", "CRI-O"}, nodecheck.Unread: {"CRI-O"}} {
		status := Outcome{Revision: 1, Checked: found(nodecheck.Containerd, effect)}.Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, "containerd://2")
		if !slices.Equal(status.Runtimes, want) {
			t.Errorf("%s: got %q", effect, status.Runtimes)
		}
	}
}

func TestTheReasonOfRuntimeReadySaysWhatToThinkOfTheProblems(t *testing.T) {
	for effect, want := range map[nodecheck.Effect]string{
		nodecheck.Mild: mirrorsetv1alpha1.ReasonReadyWithProblems, nodecheck.Late: mirrorsetv1alpha1.ReasonNotReady,
		nodecheck.Unsure: mirrorsetv1alpha1.ReasonNotReady, nodecheck.Unread: mirrorsetv1alpha1.ReasonNotReady,
	} {
		if got := (Outcome{Revision: 1, Checked: found(nodecheck.Containerd, effect)}).runtimeReady(nodecheck.Containerd).Reason; got != want {
			t.Errorf("%s: got %s, want %s", effect, got, want)
		}
	}
	for name, o := range map[string]Outcome{"nothing": {Revision: 1}, "another runtime's": {Revision: 1, Checked: found(nodecheck.CRIO, nodecheck.Mild)}} {
		if got := o.runtimeReady(nodecheck.Containerd).Reason; got != mirrorsetv1alpha1.ReasonReady {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestWhatKeepsTheRulesFromBeingInForceComesFirst(t *testing.T) {
	all := func(effects ...nodecheck.Effect) (r nodecheck.Report) {
		for _, e := range effects {
			r.Problems = append(r.Problems, nodecheck.Problem{Runtime: nodecheck.CRIO, Effect: e, Message: e.String(), Remedy: "do this"})
		}
		return r
	}
	for _, c := range []struct {
		problems nodecheck.Report
		is       metav1.ConditionStatus
		message  string
	}{
		{all(nodecheck.Mild, nodecheck.Unsure), metav1.ConditionUnknown, "Unsure: do this\nMild: do this"},
		{all(nodecheck.Unsure, nodecheck.Late), metav1.ConditionFalse, "Late: do this\nUnsure: do this"},
		{all(nodecheck.Mild, nodecheck.Unsure, nodecheck.Unread, nodecheck.Late), metav1.ConditionFalse, "Unread: do this\nLate: do this\nUnsure: do this\nMild: do this"},
	} {
		status := Outcome{Revision: 1, Checked: c.problems}.Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, "cri-o://1.34.0")
		ready := meta.FindStatusCondition(status.Conditions, mirrorsetv1alpha1.ConditionRuntimeReady)
		if ready.Status != c.is || ready.Message != c.message {
			t.Errorf("got %+v, want %s %q", ready, c.is, c.message)
		}
	}
}

func TestWhatStaysTheSameKeepsItsTime(t *testing.T) {
	then := time.Now().Add(-time.Hour)
	before := Outcome{Revision: 1, Digest: "d"}.Status(then, mirrorsetv1alpha1.MirrorNodeStatus{}, "")
	same := Outcome{Revision: 1, Digest: "d"}.Status(time.Now(), before, "")
	if !same.AppliedAt.Time.Equal(then.Truncate(time.Second)) || !same.Conditions[0].LastTransitionTime.Equal(&before.Conditions[0].LastTransitionTime) {
		t.Errorf("got %+v", same)
	}
	if next := (Outcome{Revision: 2, Digest: "e"}).Status(time.Now(), before, ""); !next.AppliedAt.After(then.Add(time.Minute)) {
		t.Errorf("got %+v", next)
	}
}

func TestAnAgentWithoutNewsLeavesTheManagersWordThatThereIsMore(t *testing.T) {
	before := Outcome{Revision: 1, Digest: "d"}.Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, "")
	meta.SetStatusCondition(&before.Conditions, metav1.Condition{Type: mirrorsetv1alpha1.ConditionApplied, Status: metav1.ConditionUnknown, Reason: mirrorsetv1alpha1.ReasonAgentSilent})
	for name, c := range map[string]struct {
		now  Outcome
		want string
	}{
		"no news":           {Outcome{Revision: 1, Digest: "d"}, mirrorsetv1alpha1.ReasonAgentSilent},
		"the next revision": {Outcome{Revision: 2, Digest: "e"}, mirrorsetv1alpha1.ReasonInForce},
		"a failure":         {Outcome{Revision: 1, Digest: "d", Err: errors.New("no")}, mirrorsetv1alpha1.ReasonFailed},
	} {
		if got := meta.FindStatusCondition(c.now.Status(time.Now(), before, "").Conditions, mirrorsetv1alpha1.ConditionApplied).Reason; got != c.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestWhatSeveralStepsSayIsSaidOnce(t *testing.T) {
	status := Outcome{Revision: 1, Err: errors.Join(errors.New("full"), errors.New("read-only"), errors.New("full"))}.Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, "")
	if c := meta.FindStatusCondition(status.Conditions, mirrorsetv1alpha1.ConditionApplied); c.Message != "full\nread-only" {
		t.Errorf("got %q", c.Message)
	}
}

func TestALongMessageIsCut(t *testing.T) {
	status := Outcome{Revision: 1, Err: errors.New(strings.Repeat("ä", 40_000))}.Status(time.Now(), mirrorsetv1alpha1.MirrorNodeStatus{}, "")
	c := meta.FindStatusCondition(status.Conditions, mirrorsetv1alpha1.ConditionApplied)
	if len(c.Message) > maxMessage+3 || !strings.HasSuffix(c.Message, "ä...") {
		t.Errorf("%d bytes, ends in %q", len(c.Message), c.Message[len(c.Message)-10:])
	}
}
