// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"fmt"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/redirect/health"
)

func TestPullsAreSeenWhileTheRedirectorServes(t *testing.T) {
	n, _, _ := newHost(t, sinktest.Files{other: foreign})
	if got := n.Observed(time.Now()).Runtime; got != "" {
		t.Errorf("before it serves: got %q", got)
	}
	n = withRedirector(t, n)
	if got := n.Observed(time.Now()).Runtime; got != nodecheck.Containerd {
		t.Errorf("while it serves: got %q", got)
	}
}

func TestWhatIsSeenIsOfTheRulesInForce(t *testing.T) { // V5 and V7
	n, _, _ := newHost(t, sinktest.Files{other: foreign})
	rules := sinktest.Accepted(t, 0, "s.com")
	rules.Shadow = map[string]string{"s.com": "a"}
	n.Follow(rules)
	now := time.Now()
	for _, at := range []time.Time{now.Add(-time.Hour), now, now.Add(time.Minute)} {
		n.observed.health.Note(health.Try{Mirror: "mirror.local:5000/x", Repository: "x/a", Outcome: accesslog.Silent, Why: "no answer", At: at})
	}
	n.observed.watched.Note("s.com", "s.com/a:1")
	n.Follow(rules)
	got := n.Observed(now.Add(time.Minute))
	if len(got.Faults) != 1 || len(got.WouldRefuse) != 1 {
		t.Fatalf("got %+v", got)
	}
	f := got.Faults[0]
	f.Since = time.Time{}
	if text := fmt.Sprint(f, got.WouldRefuse[0]); text != "{mirror.local:5000/x Silent 0001-01-01 00:00:00 +0000 UTC no answer} {s.com 1 [s.com/a:1]}" || !got.Faults[0].Since.Equal(now) {
		t.Errorf("got %s", text)
	}
	n.Follow(sinktest.Accepted(t, 1))
	if got := n.Observed(now.Add(time.Minute)); len(got.Faults) != 0 || len(got.WouldRefuse) != 0 {
		t.Errorf("by other rules: got %+v", got)
	}
}
