// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
)

func TestTheRegistriesAreCountedThatGoWithTheRedirector(t *testing.T) {
	blocked := []string{"open.com/x", "!shut.com/x", "half.com", "!half.com/x"}
	for name, c := range map[string]struct {
		runtime nodecheck.Runtime
		away    bool
		want    float64
	}{
		"containerd":                                {nodecheck.Containerd, false, 2},
		"a runtime that is not known yet":           {"", false, 2},
		"CRI-O, beside containerd's folder":         {nodecheck.CRIO, false, 0},
		"containerd, without a redirector at first": {nodecheck.Containerd, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			n, _, _ := newHost(t, sinktest.Files{other: foreign})
			if !c.away {
				n = withRedirector(t, n)
			}
			n.env.Runtime = func() nodecheck.Runtime { return c.runtime }
			offer(t, n, 0, blocked...)
			if got := testutil.ToFloat64(n.dependent); got != c.want {
				t.Errorf("got %g, want %g", got, c.want)
			}
			offer(t, n, 1, "open.com/x")
			if got := testutil.ToFloat64(n.dependent); got != 0 {
				t.Errorf("%g are left", got)
			}
		})
	}
}

func TestARegistryThatNobodyServesDependsOnNothing(t *testing.T) {
	for sets, want := range map[string]float64{
		"a: s.com -> blocked.invalid [Never]":                                        0,
		"a: s.com -> blocked.invalid [Never]\na: s.com/x -> blocked.invalid [Never]": 0,
		"a: s.com -> blocked.invalid [Never]\na: s.com/x -> m.com [Never]":           1,
		"a: s.com -> blocked.invalid [Never]\na: s.com/x -> (none)":                  1,
		"a: s.com/x -> blocked.invalid [Never]":                                      1, // the rest of s.com is open
	} {
		n, _, _ := newHost(t, sinktest.Files{other: foreign})
		n = withRedirector(t, n)
		parsed, err := mirrorstest.Parse(sets)
		if err != nil {
			t.Fatal(err)
		}
		n.rules = &sink.Accepted{Payload: sinktest.Payload(t, 0), Rules: kinds.Merge(parsed, nil).Rules}
		if err := n.repair(); err != nil {
			t.Fatal(err)
		}
		if got := testutil.ToFloat64(n.dependent); got != want {
			t.Errorf("%s: got %g, want %g", sets, got, want)
		}
	}
}
