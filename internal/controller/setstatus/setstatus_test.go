// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package setstatus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// Short names of what these tests make nodes of.
var (
	reported, withCondition, without = fleettest.Reported, fleettest.WithCondition, fleettest.Without
)

var now = metav1.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// snapshot is what was made of sets.
type snapshot struct {
	Published
	sets   []kinds.Set
	result mirrors.Result
}

// snapshotOf returns a snapshot of sets in the notation of mirrorstest, each of generation 1, at revision 20.
func snapshotOf(t *testing.T, sets string) *snapshot {
	t.Helper()
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		t.Fatal(err)
	}
	for i := range parsed {
		parsed[i].SetGeneration(1)
	}
	return &snapshot{Published: Published{Published: standing.Published{Revision: 20, Digest: "d"}}, sets: parsed, result: kinds.Merge(parsed, nil)}
}

func fleetOf(statuses ...mirrorsetv1alpha1.MirrorNodeStatus) (members []fleet.Member) {
	for i, s := range statuses {
		members = append(members, fleet.Member{Name: fmt.Sprintf("node-%d", i), Status: s})
	}
	return members
}

// statusOf is what the first set's status becomes.
func statusOf(s *snapshot, before configv1.MirrorSetStatus, members []fleet.Member) configv1.MirrorSetStatus {
	return s.of(0, before, NewFleet(members))
}

// of is what a set's status becomes.
func (s *snapshot) of(set int, before configv1.MirrorSetStatus, f Fleet) configv1.MirrorSetStatus {
	return Of(&s.sets[set], before, Judge(s.result, &f), f, &s.Published, now)
}

func wantCondition(t *testing.T, what string, status configv1.MirrorSetStatus, kind string, is metav1.ConditionStatus, reason string, parts ...string) {
	t.Helper()
	c := meta.FindStatusCondition(status.Conditions, kind)
	if c == nil || c.Status != is || c.Reason != reason || c.ObservedGeneration != status.ObservedGeneration {
		t.Errorf("%s: got %+v, want %s %s", what, c, is, reason)
		return
	}
	for _, part := range parts {
		if !strings.Contains(c.Message, part) {
			t.Errorf("%s: %q is not in %q", what, part, c.Message)
		}
	}
}

func TestASetSaysOnHowManyNodesItIsInForce(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com, n.com\na: s.com/x -> m.com")
	failed := withCondition(mirrorsetv1alpha1.ConditionApplied, metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "the disk is full\nand more")
	for _, c := range []struct {
		name   string
		fleet  []fleet.Member
		is     metav1.ConditionStatus
		reason string
		parts  []string
	}{
		{"all", fleetOf(reported(20), reported(20)), metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, []string{"in force: every node has put it in force"}},
		{"none", nil, metav1.ConditionFalse, configv1.ReasonNoNodes, nil},
		{"some", fleetOf(reported(20), reported(19), reported(19)), metav1.ConditionFalse, configv1.ReasonProgressing, []string{"in force on 1 of 3 nodes; waiting for node-1, node-2"}},
		{"some, others with what is published no more", fleetOf(reported(20), reported(21)), metav1.ConditionFalse, configv1.ReasonProgressing, []string{"in force on 1 of 2 nodes; waiting for node-1 (it has a later revision than the published revision 20"}},
		{"none, because all refuse what is published", fleetOf(reported(30, failed)), metav1.ConditionFalse, configv1.ReasonNodesFailing, []string{"in force on 0 of 1 nodes; failing: node-0 (the disk is full)"}},
		{"some, others failing", fleetOf(reported(20), reported(19), reported(19, failed)), metav1.ConditionFalse, configv1.ReasonNodesFailing, []string{"in force on 1 of 3 nodes; failing: node-2 (the disk is full)"}},
		{"all but a source of another set", fleetOf(reported(20, without("t.com"))), metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, nil},
		{"all but a source of its own", fleetOf(reported(20, without("s.com/x"))), metav1.ConditionFalse, configv1.ReasonNodesFailing, []string{"node-0 (because)"}},
	} {
		status := statusOf(s, configv1.MirrorSetStatus{}, c.fleet)
		wantCondition(t, c.name, status, configv1.ConditionApplied, c.is, c.reason, c.parts...)
		if status.Revision != 20 || *status.Sources != 2 || *status.Mirrors != 2 || status.ObservedGeneration != 1 {
			t.Errorf("%s: got %+v", c.name, status)
		}
	}
	var many []mirrorsetv1alpha1.MirrorNodeStatus
	for range 30 {
		many = append(many, reported(19, failed))
	}
	wantCondition(t, "many", statusOf(s, configv1.MirrorSetStatus{}, fleetOf(many...)), configv1.ConditionApplied, metav1.ConditionFalse, configv1.ReasonNodesFailing, "node-9 (the disk is full) and 20 more")
}

func TestTheFirstRevisionOfAGenerationIsKept(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	before := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(19)))
	s.Revision = 30
	after := statusOf(s, before, fleetOf(reported(25)))
	if after.Revision != 20 {
		t.Errorf("got revision %d", after.Revision)
	}
	wantCondition(t, "between the two", after, configv1.ConditionApplied, metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes)
}

func TestWhatIsHeldBackIsNotPublished(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	s.Held = "too large"
	status := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20)))
	wantCondition(t, "held", status, configv1.ConditionApplied, metav1.ConditionFalse, configv1.ReasonNotPublished, "too large")
	if status.Revision != 0 {
		t.Errorf("got revision %d", status.Revision)
	}
}

func TestASetSaysWhatIsLeftOutOfIt(t *testing.T) {
	for _, c := range []struct {
		name, sets string
		is         metav1.ConditionStatus
		reason     string
		parts      []string
		findings   string
	}{
		{"nothing", "a: s.com -> m.com", metav1.ConditionTrue, configv1.ReasonAllEntriesAccepted, nil, ""},
		{"a mirror", "a: s.com -> mirror, m.com", metav1.ConditionFalse, configv1.ReasonPartsLeftOut, []string{`source "s.com": mirrors[0] "mirror" is ignored`}, "InvalidMirror 0"},
		{"an entry", "a: t.com -> m.com\na: \"https://s.com\" -> m.com", metav1.ConditionFalse, configv1.ReasonPartsLeftOut, []string{"https://s.com"}, "InvalidSource 1"},
		{"every entry", "a: \"https://s.com\" -> m.com", metav1.ConditionFalse, configv1.ReasonNothingAccepted, nil, "InvalidSource 0"},
		{"nothing, but there is something odd", "a: s.com -> m.com [Never]", metav1.ConditionTrue, configv1.ReasonAllEntriesAccepted, nil, "BlocksTagPulls 0"},
		{"nothing of a namespace of Docker Hub", "a: docker.io/bitnami -> m.com:5000", metav1.ConditionTrue, configv1.ReasonAllEntriesAccepted, nil, "DockerHubNamespace 0"},
		{"nothing, but two entries contradict", "a: s.com -> m.com, n.com\na: s.com -> n.com, m.com", metav1.ConditionTrue, configv1.ReasonAllEntriesAccepted, nil, "OrderConflict -"},
		{"another set's entry", "a: s.com -> m.com\nb: t.com -> mirror", metav1.ConditionTrue, configv1.ReasonAllEntriesAccepted, nil, ""},
	} {
		status := statusOf(snapshotOf(t, c.sets), configv1.MirrorSetStatus{}, nil)
		wantCondition(t, c.name, status, configv1.ConditionAccepted, c.is, c.reason, c.parts...)
		findings := ""
		if len(status.Findings) > 0 {
			findings = status.Findings[0].Reason + " -"
			if entry := status.Findings[0].Entry; entry != nil {
				findings = fmt.Sprintf("%s %d", status.Findings[0].Reason, *entry)
			}
		}
		if findings != c.findings {
			t.Errorf("%s: got findings %+v", c.name, status.Findings)
		}
	}
}

func TestASetSaysWhichOfItsInsecureMirrorsAreLeftOut(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	mirrorstest.Annotate(s.sets, "a", "m.com, n_.com")
	s.result = kinds.Merge(s.sets, nil)
	status := statusOf(s, configv1.MirrorSetStatus{}, nil)
	wantCondition(t, "a bad value", status, configv1.ConditionAccepted, metav1.ConditionFalse, configv1.ReasonPartsLeftOut, `annotation mirrorset.io/insecure-mirrors: "n_.com" is ignored: `)
	if len(status.Findings) != 1 || status.Findings[0].Reason != "InvalidInsecureMirrors" || status.Findings[0].Entry != nil {
		t.Errorf("got findings %+v, want one about no entry", status.Findings)
	}
}

func TestAStatusHasRoomForSoManyFindings(t *testing.T) {
	var sets strings.Builder
	for i := range 500 {
		fmt.Fprintf(&sets, "a: s%d.com -> mirror, m.com\n", i)
	}
	status := statusOf(snapshotOf(t, sets.String()), configv1.MirrorSetStatus{}, nil)
	if len(status.Findings) != configv1.MaxFindings {
		t.Errorf("%d findings", len(status.Findings))
	}
	wantCondition(t, "many", status, configv1.ConditionAccepted, metav1.ConditionFalse, configv1.ReasonPartsLeftOut, "and 490 more", "400 findings are not listed")
}

// The API server takes no condition of more than 32768 bytes, and what a set says of itself would never be written.
func TestAConditionHasRoomForWhateverIsLeftOut(t *testing.T) {
	long := strings.Repeat("x", 200)
	bad := long + "://" + long + "@-" + long + "/_" + long + "X:" + long + "?" + long
	var sets strings.Builder
	for i := range 20 {
		fmt.Fprintf(&sets, "a: s%d.com ->", i)
		for j := range 9 {
			fmt.Fprintf(&sets, " %q,", bad+fmt.Sprint(j))
		}
		sets.WriteString(" m.com\n")
	}
	status := statusOf(snapshotOf(t, sets.String()), configv1.MirrorSetStatus{}, nil)
	wantCondition(t, "long", status, configv1.ConditionAccepted, metav1.ConditionFalse, configv1.ReasonPartsLeftOut, "\nand 1", " more")
	for _, c := range status.Conditions {
		if len(c.Message) > 20<<10 {
			t.Errorf("%s: %d bytes: %.500q", c.Type, len(c.Message), c.Message)
		}
	}
}

func TestWhatFitsIsNamedInFull(t *testing.T) {
	var sets strings.Builder
	for i := range maxFindingsNamed {
		fmt.Fprintf(&sets, "a: s%d.com -> mirror, m.com\n", i)
	}
	status := statusOf(snapshotOf(t, sets.String()), configv1.MirrorSetStatus{}, nil)
	if text := meta.FindStatusCondition(status.Conditions, configv1.ConditionAccepted).Message; strings.Contains(text, " more") {
		t.Errorf("%q", text)
	}
}

func TestConditionsOfOursKeepTheirTimesAndThoseOfOthersGo(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	before := statusOf(s, configv1.MirrorSetStatus{}, nil)
	long := metav1.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range before.Conditions {
		before.Conditions[i].LastTransitionTime = long
	}
	before.Conditions = append(before.Conditions, metav1.Condition{Type: "Theirs", Status: metav1.ConditionTrue, Reason: "X", LastTransitionTime: long})
	after := statusOf(s, before, nil)
	if len(after.Conditions) != len(before.Conditions)-1 {
		t.Errorf("%+v", after.Conditions)
	}
	for _, c := range after.Conditions {
		if c.Type == "Theirs" || !c.LastTransitionTime.Equal(&long) {
			t.Errorf("%+v", c)
		}
	}
}
