// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/nodecheck"
	"github.com/mirrorset/mirrorset/internal/redirect/health"
	"github.com/mirrorset/mirrorset/internal/route"
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

func TestThePullsOfContainerdAreSeen(t *testing.T) { // V5 and V7
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer registry.Close()
	mirror := mirrors.Scope(strings.TrimPrefix(registry.URL, "http://") + "/q")
	set := mirrors.Set{Object: mirrors.Object{Kind: &mirrors.Kind{Mode: mirrors.ByTag}, Name: "a"}, Entries: []mirrors.SetEntry{{Source: "s.com/x", Mirrors: []string{string(mirror)}}}}
	rules := &sink.Accepted{Rules: mirrors.Merge(mirrors.Input{Sets: []mirrors.Set{set}, Insecure: mirrors.Scopes{mirror}}).Rules}
	rules.Shadow = map[string]string{"s.com/x": "a"}
	n, _, _ := newHost(t, sinktest.Files{other: foreign})
	n = withRedirector(t, n)
	n.Follow(rules)
	began := time.Now().Add(-2 * time.Minute)
	n.observed.health.Note(health.Try{Mirror: mirror, Repository: "other", Outcome: accesslog.Silent, At: began}) // since when, a minute has to pass
	at := "http://" + n.server.Address()
	if got := sinktest.Ask(t, at+route.Key("").Path("s.com", route.Rank(0)), "s.com", "x/y"); got != http.StatusNotFound {
		t.Errorf("the mirror: got %d", got)
	}
	if got := sinktest.Ask(t, at+route.Key("").Path("s.com", route.Source), "s.com", "x/y"); got != http.StatusTemporaryRedirect {
		t.Errorf("the source: got %d", got)
	}
	got := n.Observed(time.Now())
	if len(got.Faults) != 1 || got.Faults[0].Mirror != mirror || got.Faults[0].State != "Fails" || !got.Faults[0].Since.Equal(began) || !strings.Contains(got.Faults[0].Why, "503") {
		t.Errorf("got faults %+v", got.Faults)
	}
	if len(got.WouldRefuse) != 1 || fmt.Sprint(got.WouldRefuse[0]) != "{s.com/x 1 [s.com/x/y:1]}" {
		t.Errorf("got %+v", got.WouldRefuse)
	}
}
