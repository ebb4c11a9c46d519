// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/mirrorset/mirrorset/internal/agent/sink"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/route"
)

func TestPullsThatTheRedirectorRefusesWakeTheAgent(t *testing.T) {
	files, _ := sinktest.NewHost(t, sinktest.Files{other: foreign})
	log, logged := sinktest.Log()
	env, woken := sinktest.Env(files, log), make(chan struct{}, 1)
	env.Wake = func() { woken <- struct{}{} }
	n := &host{Sink: newSink(env, settings{redirectorPort: sinktest.FreePort(t), dir: "/etc/containerd/certs.d", config: "/etc/containerd/config.toml"}), logged: logged}
	n.Serve(t.Context())
	defer func() { _ = n.Close() }()
	offer(t, n, 0, "!shut.com/x", "!shut.com/y")
	changed := time.Now()
	change := sink.Change{Touched: func(host, repository string) bool { return host == "shut.com" && repository == "x/a" }, Before: "old", After: n.rules.Digest, At: changed}
	failed := func() sink.FailedPulls { return sink.Witness(n.Sink).FailedPulls(change) }
	if got := failed(); got.More != 0 {
		t.Errorf("at first: got %+v", got)
	}
	at := "http://" + n.server.Address() + n.keys.open()[0].Path("shut.com", route.Source)
	for _, repository := range []string{"y/a", "x/a"} {
		if got := sinktest.Ask(t, at, "shut.com", repository); got != http.StatusForbidden {
			t.Fatalf("%s: got %d", repository, got)
		}
	}
	<-woken
	want := []string{"shut.com/x/a:1: source shut.com/x is blocked by policy NeverContactSource, and it has no mirror for images by tag; name one in an ImageTagMirrorSet"}
	if got := failed(); got.More != 1 || got.Refused != (sink.Count{After: 1}) || got.PassedOver != (sink.Count{}) || !slices.Equal(got.Last, want) || got.Known <= 0 {
		t.Errorf("got %+v", got)
	}
}
