// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/agent/running"
	"github.com/mirrorset/mirrorset/internal/agent/sinktest"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// registryWith starts one that answers in one way, and counts what it is asked.
func registryWith(t *testing.T, status *atomic.Int32) (host string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), asked
}

// blockedBehind is a payload that has a source come from an insecure mirror alone.
func blockedBehind(t *testing.T, revision int64, source, mirror string) payload.Payload {
	t.Helper()
	set := mirrors.Set{Object: mirrors.Object{Kind: &mirrors.Kind{Mode: mirrors.ByTag}, Name: "test"}, Entries: []mirrors.SetEntry{{Source: source, Mirrors: []string{mirror}, Policy: mirrors.NeverContactSource}}}
	text, err := registriesconf.Encode(mirrors.Merge(mirrors.Input{Sets: []mirrors.Set{set}, Insecure: mirrors.Scopes{mirrors.Scope(mirror)}}).Rules)
	if err != nil {
		t.Fatal(err)
	}
	return payload.New(sinktest.First+revision, text)
}

// await waits until a trial is no longer on.
func await(t *testing.T, l *loop) *mirrorsetv1alpha1.Trial {
	t.Helper()
	for range 1000 {
		if r := l.trials.Report(); r == nil || r.State != mirrorsetv1alpha1.TrialRunning {
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the trial does not end")
	return nil
}

// TestACanarySaysWhatItCannotPullAgain has one take a block behind a mirror without the image, be started anew, and be led back.
func TestACanarySaysWhatItCannotPullAgain(t *testing.T) { // C9
	var sourceSays, mirrorSays atomic.Int32
	sourceSays.Store(http.StatusOK)
	mirrorSays.Store(http.StatusNotFound)
	source, atSource := registryWith(t, &sourceSays)
	mirror, atMirror := registryWith(t, &mirrorSays)
	n, root, logged := newHost(t, sinktest.Files{
		running.ContainerdDir + "/1/config.json": `{"process":{"env":["PASSWORD=hush"]},"annotations":{"io.kubernetes.cri.image-name":"` + source + `/x:1"}}`,
	})
	fleet, change := sinktest.Payload(t, 0, "old.com"), &payload.Canary{Payload: blockedBehind(t, 1, source, mirror), Nodes: []string{"canary"}}
	pass := func(l *loop, fleet payload.Payload, canary *payload.Canary) *mirrorsetv1alpha1.Trial {
		t.Helper()
		publish(t, l, fleet, canary)
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		return await(t, l)
	}
	isFailure := func(step string, r *mirrorsetv1alpha1.Trial) {
		t.Helper()
		want := fmt.Sprintf("1 image that runs here could not be pulled again: %s/x:1 (%s/x: 404 Not Found; the source is blocked)", source, mirror)
		if r == nil || r.State != mirrorsetv1alpha1.TrialFailed || r.Revision != sinktest.First+1 || *r.Images != 1 || *r.Unpullable != 1 || r.Message != want {
			t.Errorf("%s: got %+v, want %q", step, r, want)
		}
	}
	l := loopOf(t, n, root, "canary")
	if r := pass(l, fleet, nil); r != nil {
		t.Errorf("the first rules: got %+v", r)
	}
	isFailure("the change", pass(l, fleet, change))
	select {
	case <-n.wakes:
	default:
		t.Error("no pass was asked for to report it")
	}
	l.trials.Close()

	again := n.successor(t)
	again.restore()
	l = loopOf(t, again, root, "canary")
	isFailure("after a restart", pass(l, fleet, change))
	before := atMirror.Load()
	isFailure("a pass later", pass(l, fleet, change))
	if atMirror.Load() != before {
		t.Error("a repair has the mirror asked again")
	}
	isFailure("where all nodes get it", pass(l, change.Payload, nil))
	if n := atSource.Load(); n != 0 {
		t.Errorf("the blocked source was asked %d times", n)
	}
	l.trials.Close()

	other := n.successor(t)
	other.restore()
	l = loopOf(t, other, root, "canary")
	if r := pass(l, change.Payload, nil); r != nil {
		t.Errorf("an agent that is started anew, and is no canary: got %+v", r)
	}
	if strings.Contains(logged.String(), "hush") {
		t.Error("the log has what is in the environment of a container")
	}
}

// TestACanaryInAPodMustSeeAContainer has an agent whose own container should be there see none, and one that runs beside the runtime.
func TestACanaryInAPodMustSeeAContainer(t *testing.T) { // C9
	for isInPod, want := range map[bool]mirrorsetv1alpha1.TrialState{true: mirrorsetv1alpha1.TrialFailed, false: mirrorsetv1alpha1.TrialPassed} {
		n, root, _ := newHost(t, nil)
		n.isInPod = isInPod
		l := loopOf(t, n, root, "canary")
		publish(t, l, sinktest.Payload(t, 0, "old.com"), &payload.Canary{Payload: sinktest.Payload(t, 1, "new.com"), Nodes: []string{"canary"}})
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := await(t, l); r == nil || r.State != want || !strings.HasPrefix(r.Message, "nothing was tried: no container was found") || strings.Contains(r.Message, "not even its own") != isInPod {
			t.Errorf("in a Pod: %t: got %+v", isInPod, r)
		}
	}
}

// TestACanaryThatRefusesAChangeTriesNothing has rules published that no agent takes.
func TestACanaryThatRefusesAChangeTriesNothing(t *testing.T) {
	n, root, _ := newHost(t, nil)
	l := loopOf(t, n, root, "canary")
	publish(t, l, sinktest.Payload(t, 0, "old.com"), &payload.Canary{Payload: payload.New(sinktest.First+1, []byte("[[registry")), Nodes: []string{"canary"}})
	for range 2 {
		if err := l.pass(t.Context()); err == nil {
			t.Error("it is taken")
		}
		if _, err := n.take(sinktest.Payload(t, 0, "old.com")); err != nil {
			t.Fatal(err)
		}
	}
	if r := l.trials.Report(); r != nil {
		t.Errorf("got %+v", r)
	}
}
