// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"slices"
	"testing"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

// The count is that of the set's own status, which the manager writes: of a list of sources that is full, nobody knows what would follow.
func TestANodeWhoseListIsFullIsNotCountedForWhatMayBeMissingThere(t *testing.T) {
	full := func(source string) func(*mirrorsetv1alpha1.MirrorNode) {
		return func(n *mirrorsetv1alpha1.MirrorNode) {
			n.Status.NotInForce = slices.Repeat([]string{source}, mirrorsetv1alpha1.MaxNotInForce)
		}
	}
	set := configv1.ImageDigestMirrorSet{}
	set.Name, set.Status.Revision = "a", currentRevision
	rule := rulesOf(t, "a: s.com -> m.com\n")[0]
	nodes := []mirrorsetv1alpha1.MirrorNode{nodeAt("node-1", currentRevision, full("a.com")), nodeAt("node-2", currentRevision, full("z.com")), nodeAt("node-3", currentRevision)}
	if got := sayInForce(countInForce(&rule, []configv1.ImageDigestMirrorSet{set}, nodes)); got != "a on 2 of 3 nodes" {
		t.Error(got)
	}
}
