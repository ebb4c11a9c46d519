// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

func publication(p payload.Payload) *cluster.Publication {
	return &cluster.Publication{Payload: p, Namespace: cluster.Namespace}
}

func TestEveryChangeThatTheManagerHasYetToPublishIsWaitedFor(t *testing.T) {
	made := func(name, uid string, generation int64) kinds.Set {
		sets, err := mirrorstest.Of(configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), Generation: generation}})
		if err != nil {
			t.Fatal(err)
		}
		return sets[0]
	}
	sets := []kinds.Set{made("b", "2", 1), made("a", "1", 2)}
	p := payload.New(1, nil)
	p.Sets = kinds.DigestOf([]kinds.Set{made("a", "1", 2), made("b", "2", 1)})
	older := payload.New(1, nil)
	const change = "the manager has not yet published the latest change or deletion of a set"
	for _, tt := range []struct {
		name string
		now  cluster.State
		want string
	}{
		{"all are published", cluster.State{Sets: sets, Published: publication(p)}, ""},
		{"one was changed", cluster.State{Sets: []kinds.Set{made("b", "2", 2), made("a", "1", 2)}, Published: publication(p)}, change},
		{"one was made anew", cluster.State{Sets: []kinds.Set{made("b", "3", 1), made("a", "1", 2)}, Published: publication(p)}, change},
		{"one was deleted", cluster.State{Sets: sets[:1], Published: publication(p)}, change},
		{"all were deleted", cluster.State{Published: publication(p)}, change},
		{"one was made", cluster.State{Sets: append(sets, made("c", "3", 1)), Published: publication(p)}, change},
		{"nothing is published", cluster.State{}, "there is no ConfigMap containers-registries.conf, so nothing is published"},
		{"what is published is damaged", cluster.State{Damage: errors.New("it is damaged")}, "it is damaged"},
		{"the manager is older", cluster.State{Published: publication(older)}, "the published revision does not name its sets, because an older manager or an unfinished uninstall wrote it"},
	} {
		got := ""
		if hold := tt.now.Hold(); hold != nil {
			got = hold.Why
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A halt is beyond doubt where it is of the very rules that the sets make; the manager is about to replace any other.
func TestAHaltOfTheseRulesIsBeyondDoubt(t *testing.T) {
	sets, err := mirrorstest.Parse("a: s.com -> m.com/1")
	if err != nil {
		t.Fatal(err)
	}
	text, err := registriesconf.Encode(kinds.Merge(sets, nil).Rules)
	if err != nil {
		t.Fatal(err)
	}
	for digest, doubtful := range map[string]bool{payload.New(1, text).Digest: false, "sha256:of-another-change": true} {
		p := publication(payload.New(1, nil))
		p.Sets, p.Halted = "sha256:of-other-sets", &payload.Halt{Node: "node-1", Digest: digest}
		if hold := p.Hold(sets); hold == nil || hold.Reason != configv1.ReasonCanaryFailed || hold.Doubtful != doubtful {
			t.Errorf("%s: %+v", digest, hold)
		}
	}
}
