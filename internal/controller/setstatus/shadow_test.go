// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/mirrors/shadow"
	"github.com/mirrorset/mirrorset/internal/standing"
)

var watching = fleettest.Watching

// shadowOf has the set a of some sets be in shadow mode.
func shadowOf(t *testing.T, sets string) *snapshot {
	t.Helper()
	s := snapshotOf(t, sets)
	mirrorstest.Enforce(s.sets, "a", "shadow")
	s.result = kinds.Merge(s.sets, nil)
	s.Watched = shadow.Names(s.result.Watched)
	return s
}

// text is a status in short: nodes, nodes that cannot tell, images.
func text(s *configv1.ShadowStatus) string {
	if s == nil {
		return ""
	}
	return fmt.Sprint(*s.Nodes, *s.UnseenNodes, s.Images)
}

func TestASetInShadowModeSaysWhatItWouldRefuse(t *testing.T) { // V6
	const sets = "a: s.com -> m.com [Never]\nb: t.com -> m.com [Never]"
	gone := withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonAgentNotReady, "")
	never := withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionUnknown, mirrorsetv1alpha1.ReasonNeverReported, "")
	failed := withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "the disk is full")
	many := make([]string, 10)
	for i := range many {
		many[i] = fmt.Sprintf("s.com/b:%d", i)
	}
	for name, c := range map[string]struct {
		nodes []mirrorsetv1alpha1.MirrorNodeStatus
		want  string
	}{
		"no node":                    {nil, "0 0 []"},
		"nothing was pulled":         {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing())}, "0 0 []"},
		"images on two nodes":        {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), watching("s.com", "s.com/b:1", "s.com/c:1")), reported(20, seeing()), reported(20, seeing(), watching("s.com", "s.com/a:1", "s.com/b:1"))}, "2 0 [s.com/a:1 s.com/b:1 s.com/c:1]"},
		"of what nobody watches":     {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), watching("t.com", "t.com/b:1"))}, "0 0 []"},
		"two sources of one node":    {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), watching("s.com", "s.com/b:1"), watching("s.com/x", "s.com/x/c:1"))}, "1 0 [s.com/b:1]"},
		"more than there is room":    {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), watching("s.com", many...)), reported(20, seeing(), watching("s.com", "s.com/a:1"))}, "2 0 [s.com/a:1 s.com/b:0 s.com/b:1 s.com/b:2 s.com/b:3 s.com/b:4 s.com/b:5 s.com/b:6 s.com/b:7 s.com/b:8]"},
		"nodes that cannot tell":     {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20), reported(20, seeing()), reported(20)}, "0 2 []"},
		"one that nobody speaks for": {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), watching("s.com", "s.com/b:1"), gone)}, "1 1 [s.com/b:1]"},
		"not for a watched source":   {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), without("s.com")), reported(20, seeing())}, "0 1 []"},
		"not for another source":     {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), without("t.com"))}, "0 0 []"},
		"behind":                     {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(19, seeing(), watching("s.com", "s.com/b:1"))}, "1 1 [s.com/b:1]"},
		"failing":                    {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(19, seeing(), failed)}, "0 1 []"},
		"ahead":                      {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(21, seeing())}, "0 1 []"},
		"with other content":         {[]mirrorsetv1alpha1.MirrorNodeStatus{reported(20, seeing(), func(s *mirrorsetv1alpha1.MirrorNodeStatus) { s.Digest = "e" })}, "0 1 []"},
		"nodes that never reported":  {[]mirrorsetv1alpha1.MirrorNodeStatus{{}, reported(0, never)}, "0 0 []"},
	} {
		s := shadowOf(t, sets)
		if got := text(statusOf(s, configv1.MirrorSetStatus{}, fleetOf(c.nodes...)).Shadow); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if got := s.of(1, configv1.MirrorSetStatus{}, NewFleet(fleetOf(c.nodes...))).Shadow; got != nil {
			t.Errorf("%s: a set that enforces says %+v", name, got)
		}
	}
}

func TestWhatNobodyCountsIsNotSaid(t *testing.T) {
	s := shadowOf(t, "a: s.com -> m.com [Never]")
	nodes := fleetOf(reported(20, seeing(), watching("s.com", "s.com/a:1")))
	before := statusOf(s, configv1.MirrorSetStatus{}, nodes)
	unseen := NewFleet(fleetOf(mirrorsetv1alpha1.MirrorNodeStatus{}))
	unseen.Unseen = true
	if after := s.of(0, before, unseen); !equality.Semantic.DeepEqual(after, before) {
		t.Errorf("while nothing tells what nodes report: %+v", after.Shadow)
	}
	s.result.ShadowTooLarge = true
	if after := statusOf(s, before, nodes); after.Shadow != nil {
		t.Errorf("where there is too much to watch: %+v", after.Shadow)
	}
}

// A narrower source that inherits a block would be refused by the set that has the block (T4).
func TestASetInShadowModeSaysWhatItsHeirsWouldRefuse(t *testing.T) {
	s := shadowOf(t, "T a: s.com -> m.com [Never]\nD b: s.com/x -> d.net/x")
	for i := range s.sets {
		if s.sets[i].GetName() != "a" {
			continue
		}
		if got := text(s.of(i, configv1.MirrorSetStatus{}, NewFleet(fleetOf(reported(20, seeing(), watching("s.com/x", "s.com/x/y:1"))))).Shadow); got != "1 0 [s.com/x/y:1]" {
			t.Errorf("got %q", got)
		}
	}
}

func TestWhatWouldBeRefusedIsWrittenAtOnceAndThenOnceAMinute(t *testing.T) { // V6
	w := newWriter(t, reported(20, seeing()))
	w.s = shadowOf(t, "a: s.com -> m.com [Never]")
	w.look(reported(20, seeing()))
	w.look(reported(20, seeing()))
	if w.writes != 1 || text(w.says.Shadow) != "0 0 []" {
		t.Errorf("in shadow mode: %d writes, %q", w.writes, text(w.says.Shadow))
	}
	revision := int64(20)
	images := func(n int) mirrorsetv1alpha1.MirrorNodeStatus {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("s.com/a:%d", i)
		}
		return reported(revision, seeing(), watching("s.com", all...))
	}
	w.now = w.now.Add(time.Second)
	if w.look(images(1)); w.writes != 2 || text(w.says.Shadow) != "1 0 [s.com/a:0]" {
		t.Errorf("the first image: %d writes, %q", w.writes, text(w.says.Shadow))
	}
	w.now = w.now.Add(time.Second)
	if left := w.look(images(2)); left != 59*time.Second || w.writes != 2 {
		t.Errorf("the second one: waits %s, %d writes", left, w.writes)
	}
	w.pass(10*time.Minute, time.Second, func(at time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus {
		return []mirrorsetv1alpha1.MirrorNodeStatus{images(1 + int(at/(5*time.Second))%9)}
	})
	if w.writes < 10 || w.writes > 13 {
		t.Errorf("%d writes in ten minutes", w.writes)
	}
	w.writes = 0
	w.s.Revision = 30 // of another set
	w.pass(30*time.Second, time.Second, always(images(3)))
	revision = 30
	w.pass(time.Hour, time.Second, always(images(3)))
	if w.writes > 1 {
		t.Errorf("%d writes while nothing changes", w.writes)
	}
	if w.look(images(4)); text(w.says.Shadow) != "1 0 [s.com/a:0 s.com/a:1 s.com/a:2 s.com/a:3]" {
		t.Errorf("after an hour: %q", text(w.says.Shadow))
	}
	mirrorstest.Enforce(w.s.sets, "a", "")
	w.s.result = kinds.Merge(w.s.sets, nil)
	w.writes = 0
	if left := w.look(images(3)); left != 0 || w.writes != 1 || w.says.Shadow != nil {
		t.Errorf("enforced: waits %s, %d writes, %+v", left, w.writes, w.says.Shadow)
	}
}

// Whatever is held up, a node watches no more than what is published for it.
func TestNodesAreUnseenWhereWhatIsPublishedForThemHasNothingWatched(t *testing.T) {
	nodes := fleetOf(reported(20, seeing()), reported(25, seeing()))
	s := shadowOf(t, "a: s.com -> m.com [Never]")
	all := s.Watched
	s.Held, s.Canary, s.Canaries = "canaries try it", &standing.Published{Revision: 25, Digest: "d"}, []string{"node-1"}
	for name, c := range map[string]struct {
		watched, canary map[string]string
		want            string
	}{
		"by canaries": {nil, all, "0 1 []"},
		"by others":   {all, nil, "0 1 []"},
		"by both":     {all, all, "0 0 []"},
		"by none":     {map[string]string{"t.com": "b"}, nil, "0 2 []"},
	} {
		s.Watched, s.CanaryWatched = c.watched, c.canary
		if got := text(statusOf(s, configv1.MirrorSetStatus{}, nodes).Shadow); got != c.want {
			t.Errorf("watched %s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestNodesThatCannotTellAreCountedOnceThatLastsAMinute(t *testing.T) { // V6
	well, behind := reported(20, seeing()), reported(19, seeing())
	w := newWriter(t, well)
	w.s = shadowOf(t, "a: s.com -> m.com [Never]")
	w.look(well)
	w.writes = 0
	w.pass(time.Hour, time.Second, func(at time.Duration) []mirrorsetv1alpha1.MirrorNodeStatus { // other sets are published
		if at%(2*time.Minute) < 50*time.Second {
			return []mirrorsetv1alpha1.MirrorNodeStatus{behind}
		}
		return []mirrorsetv1alpha1.MirrorNodeStatus{well}
	})
	if w.writes != 0 {
		t.Errorf("%d writes while other sets are published", w.writes)
	}
	w.pass(59*time.Second, time.Second, always(behind))
	if w.writes != 0 {
		t.Errorf("%d writes before a minute is over", w.writes)
	}
	w.pass(time.Hour, time.Second, always(behind))
	if w.writes != 1 || text(w.says.Shadow) != "0 1 []" {
		t.Errorf("%d writes, %q", w.writes, text(w.says.Shadow))
	}
}

func TestThatASetEnforcesIsWrittenAtOnce(t *testing.T) {
	one := int32(1)
	status := configv1.MirrorSetStatus{Shadow: &configv1.ShadowStatus{Nodes: &one, UnseenNodes: &one}}
	var p Pace
	at := now.Time
	p.Hold(configv1.MirrorSetStatus{}, status, at)
	p.Wrote(at)
	if left, due := p.Hold(status, configv1.MirrorSetStatus{}, at.Add(time.Second)); left != 0 || !due {
		t.Errorf("waits %s, due %t", left, due)
	}
}

func TestAWriteForAnotherCauseDoesNotHoldImagesBack(t *testing.T) {
	w := newWriter(t, reported(20, seeing()))
	w.s = shadowOf(t, "a: s.com -> m.com [Never]")
	w.look(reported(20, seeing(), watching("s.com", "s.com/a:1")))
	w.now = w.now.Add(time.Hour)
	w.s.sets[0].SetGeneration(2)
	w.look(reported(20, seeing(), watching("s.com", "s.com/a:1")))
	if left := w.look(reported(20, seeing(), watching("s.com", "s.com/a:1", "s.com/b:1"))); left != 0 || text(w.says.Shadow) != "1 0 [s.com/a:1 s.com/b:1]" {
		t.Errorf("waits %s, %q", left, text(w.says.Shadow))
	}
}
