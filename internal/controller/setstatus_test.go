// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/config"
	"github.com/mirrorset/mirrorset/internal/controller/fleet"
	"github.com/mirrorset/mirrorset/internal/controller/fleet/fleettest"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/plan"
)

// Short names of what these tests make nodes of.
var (
	newNode, labelled                = fleettest.Node, fleettest.Labelled
	reported, withCondition, without = fleettest.Reported, fleettest.WithCondition, fleettest.Without
)

// snapshotOf returns a snapshot of sets in the notation of mirrorstest, each of generation 1, at revision 20.
func snapshotOf(t *testing.T, sets string) *Snapshot {
	t.Helper()
	parsed, err := mirrorstest.Parse(sets)
	if err != nil {
		t.Fatal(err)
	}
	for i := range parsed {
		parsed[i].SetGeneration(1)
	}
	return &Snapshot{Sets: parsed, Result: kinds.Merge(parsed, nil), Revision: 20, Digest: "d"}
}

func fleetOf(statuses ...mirrorsetv1alpha1.MirrorNodeStatus) (members []fleet.Member) {
	for i, s := range statuses {
		members = append(members, fleet.Member{Name: fmt.Sprintf("node-%d", i), Status: s})
	}
	return members
}

// statusOf is what the first set's status becomes.
func statusOf(s *Snapshot, before configv1.MirrorSetStatus, members []fleet.Member) configv1.MirrorSetStatus {
	return setStatus(&s.Sets[0], before, judge(s.Result), members, s, metav1.Now())
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
		{"all", fleetOf(reported(20), reported(20)), metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes, []string{"in force on all 2 nodes"}},
		{"none", nil, metav1.ConditionFalse, configv1.ReasonNoNodes, nil},
		{"some", fleetOf(reported(20), reported(19), reported(19)), metav1.ConditionFalse, configv1.ReasonProgressing, []string{"in force on 1 of 3 nodes; waiting for node-1, node-2"}},
		{"some, others with what is published no more", fleetOf(reported(20), reported(21)), metav1.ConditionFalse, configv1.ReasonProgressing, []string{"in force on 1 of 2 nodes; waiting for node-1 (it has a later revision than 20"}},
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

func TestOnceAppliedAGenerationStaysSo(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	applied := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20)))
	joined := fleetOf(reported(20), mirrorsetv1alpha1.MirrorNodeStatus{})
	if after := statusOf(s, applied, joined); !equality.Semantic.DeepEqual(after, applied) {
		t.Errorf("a node that joins changes the set: %+v", after)
	}
	s.Revision = 30 // another set changed
	if after := statusOf(s, applied, fleetOf(reported(20))); !equality.Semantic.DeepEqual(after, applied) {
		t.Errorf("another set's change changes this one: %+v", after)
	}
	s.Sets[0].SetGeneration(2)
	after := statusOf(s, applied, fleetOf(reported(20)))
	wantCondition(t, "the next generation", after, configv1.ConditionApplied, metav1.ConditionFalse, configv1.ReasonProgressing)
	if after.Revision != 30 {
		t.Errorf("got revision %d", after.Revision)
	}
	wantCondition(t, "once it is in force", statusOf(s, after, fleetOf(reported(30))), configv1.ConditionApplied, metav1.ConditionTrue, configv1.ReasonAppliedOnAllNodes)
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
		{"a mirror", "a: s.com -> mirror, m.com", metav1.ConditionFalse, configv1.ReasonPartsLeftOut, []string{`source "s.com": mirrors[0] "mirror" is left out`}, "InvalidMirror 0"},
		{"an entry", "a: t.com -> m.com\na: \"https://s.com\" -> m.com", metav1.ConditionFalse, configv1.ReasonPartsLeftOut, []string{"https://s.com"}, "InvalidSource 1"},
		{"every entry", "a: \"https://s.com\" -> m.com", metav1.ConditionFalse, configv1.ReasonNothingAccepted, nil, "InvalidSource 0"},
		{"nothing, but there is something odd", "a: s.com -> m.com [Never]", metav1.ConditionTrue, configv1.ReasonAllEntriesAccepted, nil, "BlocksTagPulls 0"},
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

func TestOnlyTheCountOfNodesIsWorthWaitingWith(t *testing.T) {
	s := snapshotOf(t, "a: s.com -> m.com")
	before := statusOf(s, configv1.MirrorSetStatus{}, fleetOf(reported(20), reported(19), reported(19)))
	for name, c := range map[string]struct {
		after configv1.MirrorSetStatus
		want  bool
	}{
		"another count": {statusOf(s, before, fleetOf(reported(20), reported(20), reported(19))), true},
		"all nodes":     {statusOf(s, before, fleetOf(reported(20), reported(20), reported(20))), false},
		"other findings": {func() configv1.MirrorSetStatus {
			after := before
			after.Findings = []configv1.Finding{{Reason: "X", Message: "x"}}
			return after
		}(), false},
		"the first one": {configv1.MirrorSetStatus{}, false},
	} {
		if got := onlyProgressed(before, c.after); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestACRDThatLacksAFieldOfTheStatusHasNoRoomForIt(t *testing.T) {
	manifest, err := config.CRDs.ReadFile("crd/bases/config.openshift.io_imagedigestmirrorsets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(manifest, &crd); err != nil || !hasStatus(&crd) {
		t.Fatalf("ours: error %v", err)
	}
	status := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["status"].Properties
	for field, schema := range maps.Clone(status) {
		delete(status, field)
		if hasStatus(&crd) {
			t.Errorf("without %s", field)
		}
		status[field] = schema
	}
}

func TestTheCRDsThatSetsCameFromAreWrittenDown(t *testing.T) {
	digests, tags := plan.Source{Kind: kinds.Digest.Name, UID: "1", Sets: 2}, plan.Source{Kind: kinds.Tag.Name, UID: "2", Sets: 1}
	none := func(s plan.Source) plan.Source {
		s.Sets = 0
		return s
	}
	for name, c := range map[string]struct {
		sources []plan.Source
		text    string
		read    map[string]string
	}{
		"digests alone, as ever": {[]plan.Source{digests, none(tags)}, "1", map[string]string{kinds.Digest.Name: "1"}},
		"both":                   {[]plan.Source{digests, tags}, "1,ImageTagMirrorSet=2", map[string]string{kinds.Digest.Name: "1", kinds.Tag.Name: "2"}},
		"tags alone":             {[]plan.Source{none(digests), tags}, "1,ImageTagMirrorSet=2,ImageDigestMirrorSet=", map[string]string{kinds.Tag.Name: "2"}},
		"none":                   {[]plan.Source{none(digests), none(tags)}, "1", map[string]string{kinds.Digest.Name: "1"}},
	} {
		if got := writeUIDs(c.sources); got != c.text || !maps.Equal(readUIDs(got), c.read) {
			t.Errorf("%s: wrote %q, read %v", name, got, readUIDs(got))
		}
	}
	if got := readUIDs(""); len(got) > 0 {
		t.Errorf("of nothing: read %v", got)
	}
}
