// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors_test

import (
	"testing"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

func TestFindingsConcernThePullsOfTheirEntries(t *testing.T) {
	for _, c := range []struct {
		name, sets string
		reason     mirrors.Reason
		digest     bool
		tag        bool
	}{
		{"a mirror of a set about digests", "a: s.com -> mirror, m.com", mirrors.InvalidMirror, true, false},
		{"a mirror of a set about tags", "T a: s.com -> mirror, m.com", mirrors.InvalidMirror, false, true},
		{"a contradiction about tags", "T a: s.com -> m.com, n.com\nT b: s.com -> n.com, m.com", mirrors.OrderConflict, false, true},
		{"a block by a set about digests, for tags", "a: s.com -> m.com [Never]", mirrors.BlocksTagPulls, false, true},
		{"a block by a set about tags, for digests", "T a: s.com -> m.com [Never]", mirrors.BlocksDigestPulls, true, false},
		{"a conflict about the block, which counts for both", "T a: s.com -> m.com [Never]\nT b: s.com -> m.com [Allow]", mirrors.PolicyConflict, true, true},
		{"a policy without mirrors", "T a: s.com -> (none) [Never]", mirrors.PolicyWithoutMirrors, true, true},
		{"a source that cannot be read", "T a: s.com/ -> m.com", mirrors.InvalidSource, false, true},
		{"a source that cannot be read and was to be blocked", "T a: s.com/ -> m.com [Never]", mirrors.InvalidSource, true, true},
		{"no mirror left of an entry that blocks", "T a: s.com -> mirror [Never]", mirrors.BlocksDigestPulls, true, false},
		{"no image in the source", "T a: index.docker.io -> m.com", mirrors.UnmatchableSource, false, true},
		{"no image in a source that was to be blocked", "T a: index.docker.io -> m.com [Never]", mirrors.UnmatchableSource, true, true},
		{"a namespace of Docker Hub", "T a: docker.io/bitnami -> m.com", mirrors.DockerHubNamespace, false, true},
		{"a namespace of Docker Hub that is blocked", "T a: docker.io/bitnami -> m.com [Never]", mirrors.DockerHubNamespace, true, true},
		{"a tie", "a: *.s.com -> m.com\nb: a.s.com -> n.com", mirrors.WildcardTie, true, true},
	} {
		found := false
		for _, f := range merge(t, c.sets).Findings {
			if f.Reason != c.reason {
				continue
			}
			found = true
			if f.Concerns(mirrors.ByDigest) != c.digest || f.Concerns(mirrors.ByTag) != c.tag {
				t.Errorf("%s: digests %t, tags %t", c.name, f.Concerns(mirrors.ByDigest), f.Concerns(mirrors.ByTag))
			}
		}
		if !found {
			t.Errorf("%s: no %s", c.name, c.reason)
		}
	}
}
