// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// The count is that of the set's own status, which the manager writes: of a list of sources that is full, nobody knows what would follow.
func TestANodeWhoseListIsFullIsNotCountedForWhatMayBeMissingThere(t *testing.T) {
	full := func(source string) func(*mirrorsetv1alpha1.MirrorNode) {
		return func(n *mirrorsetv1alpha1.MirrorNode) {
			n.Status.NotInForce = slices.Repeat([]string{source}, mirrorsetv1alpha1.MaxNotInForce)
		}
	}
	set := configv1.ImageDigestMirrorSet{}
	set.Name, set.Status.Revision = "a", plugintest.CurrentRevision
	sets, err := mirrorstest.Of(set)
	if err != nil {
		t.Fatal(err)
	}
	rule := mirrors.Rule{Source: "s.com", From: []mirrors.Entry{{Object: sets[0].Ref()}}}
	nodes := []mirrorsetv1alpha1.MirrorNode{plugintest.NodeAt("node-1", plugintest.CurrentRevision, full("a.com")), plugintest.NodeAt("node-2", plugintest.CurrentRevision, full("z.com")), plugintest.NodeAt("node-3", plugintest.CurrentRevision)}
	if got := sayInForce(countInForce(&rule, sets, nodes)); got != "a on 2 of 3 nodes" {
		t.Error(got)
	}
}

// The revision of a set whose generation is not for all nodes says nothing about these.
func TestASetThatIsHeldBackIsCountedOnNoNodes(t *testing.T) {
	for reason, want := range map[string]string{
		configv1.ReasonProgressing: "a on 1 of 1 nodes", configv1.ReasonPaused: "a not on all 1 nodes (Paused)", configv1.ReasonRolledBack: "a not on all 1 nodes (RolledBack)",
		configv1.ReasonCanaryFailed: "a not on all 1 nodes (CanaryFailed)", configv1.ReasonCanaryProgressing: "a not on all 1 nodes (CanaryProgressing)", configv1.ReasonNoCanaries: "a not on all 1 nodes (NoCanaries)",
	} {
		set := configv1.ImageDigestMirrorSet{}
		set.Name, set.Status.Revision = "a", plugintest.CurrentRevision
		set.Status.Conditions = []metav1.Condition{{Type: configv1.ConditionApplied, Status: metav1.ConditionFalse, Reason: reason}}
		sets, err := mirrorstest.Of(set)
		if err != nil {
			t.Fatal(err)
		}
		rule := mirrors.Rule{Source: "s.com", From: []mirrors.Entry{{Object: sets[0].Ref()}}}
		counts := countInForce(&rule, sets, []mirrorsetv1alpha1.MirrorNode{plugintest.NodeAt("node-1", plugintest.CurrentRevision)})
		if got := sayInForce(counts); got != want || (counts[0].Nodes == nil) != (counts[0].Held != "") {
			t.Errorf("%s: %q, %+v, want %q", reason, got, counts, want)
		}
	}
}

// A set about the broader source has a part in the answer (T4).
func TestSetsThatASourceInheritsFromAreCounted(t *testing.T) {
	sets, err := mirrorstest.Parse("D a: s.com/x -> d.com/x\nT a: s.com -> t.com")
	if err != nil {
		t.Fatal(err)
	}
	rule := kinds.Merge(sets, nil).Rules[1]
	if got := sayInForce(countInForce(&rule, sets, nil)); got != "a on an unknown number of 0 nodes, itms/a on an unknown number of 0 nodes" {
		t.Error(got)
	}
}
