// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// state is a cluster whose set is the second of a kind: it said something else before.
type state struct {
	name      string
	set       configv1.ImageDigestMirrorSet
	published payload.Payload
	canary    *payload.Canary
	rollout   payload.Rollout
	nodes     []mirrorsetv1alpha1.MirrorNode

	code    int
	reason  string
	message string
	remedy  string
}

func states(t *testing.T) []state {
	t.Helper()
	before, now := payloadOf(t, first, open), payloadOf(t, second, blocked)
	canary := func(until metav1.Time) *payload.Canary {
		return &payload.Canary{Payload: now, Nodes: []string{"node-1", "node-2"}, Until: until}
	}
	fails := plugintest.Says("Applied", metav1.ConditionFalse, mirrorsetv1alpha1.ReasonFailed, "disk full\nmore")
	behind, there := nodeWith("node-1", before), nodeWith("node-1", now)
	const resume = "kubectl mirrors rollout resume"
	halt := payload.Halt{Revision: second, Digest: now.Digest, Node: "node-1", Why: "quay.io/a: 404", At: at}
	const halted = "Canary node-1 failed with revision 1790000000002 at 2026-11-29T16:40:05Z, so the other nodes do not get it (quay.io/a: 404)."
	const mend = "Fix the sets; or, to try the same change again: " + resume
	old := blocked
	old.Status.ObservedGeneration = 1
	undo := payload.Undo{Order: byJane, Revision: first, Digest: before.Digest}
	return []state{
		{"all have it", blocked, now, nil, payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{there}, 0, "AppliedOnAllNodes",
			"The sets are in force on all nodes as they are now: 1 node has revision 1790000000002 in force.", ""},
		{"all have it, and the next change waits", blocked, now, nil, payload.Rollout{Paused: &byJane}, []mirrorsetv1alpha1.MirrorNode{there}, 0, "AppliedOnAllNodes",
			"The sets are in force on all nodes as they are now: 1 node has revision 1790000000002 in force. The next change must wait: paused" + janeSaid + ".", ""},
		{"the manager has yet to publish it", blocked, before, nil, payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{behind}, 0, "Progressing",
			"The manager has not yet published the latest change or deletion of a set.", ""},
		{"nodes follow", blocked, now, nil, payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{behind, nodeWith("node-2", now)}, 0, "Progressing",
			"1 of 2 nodes have revision 1790000000002 in force; 1 behind.", ""},
		{"a node cannot", blocked, now, nil, payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{nodeWith("node-1", now, fails), nodeWith("node-2", now)}, 0, "NodesFailing",
			"1 of 2 nodes have revision 1790000000002 in force; 1 failing. node-1: disk full", ""},
		{"no node", blocked, now, nil, payload.Rollout{}, nil, 0, "NoNodes", "No node has an agent.", ""},
		{"canaries follow", blocked, before, canary(metav1.Time{}), payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{behind, nodeWith("node-2", now), nodeWith("node-3", before)}, 0, "CanaryProgressing",
			"2 canaries try revision 1790000000002: 1 of 2 have it in force.", ""},
		{"canaries try images", blocked, before, canary(metav1.Time{}), payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{there, nodeWith("node-2", now)}, 0, "CanaryProgressing",
			"2 canaries try revision 1790000000002: 2 of 2 have it in force, and the test requests for images are still running.", ""},
		{"canaries soak", blocked, before, canary(at), payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{there, nodeWith("node-2", now)}, 0, "CanaryProgressing",
			"2 canaries try revision 1790000000002: all nodes get it at 2026-11-29T16:40:05Z if no canary reports trouble.", ""},
		{"a canary fails", blocked, before, canary(metav1.Time{}), payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{nodeWith("node-1", now, fails), nodeWith("node-2", now), nodeWith("node-3", before, fails)}, 0, "CanaryProgressing",
			"2 canaries try revision 1790000000002: 1 of 2 have it in force. node-1: disk full", ""},
		{"halted", blocked, before, nil, payload.Rollout{Halted: &halt}, []mirrorsetv1alpha1.MirrorNode{behind}, 1, "CanaryFailed", halted, mend},
		{"halted, and mended since", old, before, nil, payload.Rollout{Halted: &halt}, []mirrorsetv1alpha1.MirrorNode{behind}, 0, "Progressing",
			"The manager has not yet published the latest change or deletion of a set.", ""},
		{"no canary", told(blocked, configv1.ReasonNoCanaries, "x"), before, nil, payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{behind}, 1, "NoCanaries",
			"A change goes to canaries first, and no node is a canary.", "Label a node so that it matches the manager's --canary-selector: kubectl label node NODE KEY=VALUE"},
		{"too large", told(blocked, configv1.ReasonNotPublished, "the rules are\ntoo large"), before, nil, payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{behind}, 0, "NotPublished", `The rules are\ntoo large.`, ""},
		{"paused", blocked, before, nil, payload.Rollout{Paused: &byJane}, []mirrorsetv1alpha1.MirrorNode{behind}, 1, "Paused", "Paused" + janeSaid + ".", "To continue: " + resume},
		{"paused in a stage", blocked, before, canary(at), payload.Rollout{Paused: &byJane}, []mirrorsetv1alpha1.MirrorNode{there}, 1, "Paused", "Paused" + janeSaid + ".", "To continue: " + resume},
		{"undone", blocked, before, nil, payload.Rollout{Undone: &undo, Paused: &byJane}, []mirrorsetv1alpha1.MirrorNode{behind}, 1, "RolledBack",
			"Rolled back to revision 1790000000001" + janeSaid + ". 1 node has revision 1790000000001 in force.", "Fix the sets, then: " + resume + " --all"},
		{"nodes are about to follow an undo", blocked, before, nil, payload.Rollout{Undone: &undo}, []mirrorsetv1alpha1.MirrorNode{nodeWith("node-1", payloadOf(t, 1, blocked))}, 1, "RolledBack",
			"Rolled back to revision 1790000000001" + janeSaid + ". 0 of 1 node has revision 1790000000001 in force; 1 behind.", "Fix the sets, then: " + resume},
		{"canaries try what the sets no more say", open, before, canary(at), payload.Rollout{}, []mirrorsetv1alpha1.MirrorNode{there, nodeWith("node-2", now)}, 0, "CanaryProgressing",
			"2 canaries try revision 1790000000002: all nodes get it at 2026-11-29T16:40:05Z if no canary reports trouble.", ""},
		{"to be undone", blocked, now, nil, payload.Rollout{Undone: &undo}, []mirrorsetv1alpha1.MirrorNode{there}, 1, "RolledBack",
			"Rollback to revision 1790000000001" + janeSaid + " was requested; nodes keep revision 1790000000002 until the manager publishes it. 1 node has revision 1790000000002 in force.", "Fix the sets, then: " + resume},
		{"undone, and the sets were mended", open, before, nil, payload.Rollout{Undone: &undo}, []mirrorsetv1alpha1.MirrorNode{behind}, 0, "AppliedOnAllNodes",
			"The sets are in force on all nodes as they are now: 1 node has revision 1790000000001 in force. The next change must wait: rolled back to revision 1790000000001" + janeSaid + ".", ""},
		{"undone and paused, and the sets were mended", open, before, nil, payload.Rollout{Undone: &undo, Paused: &byJane}, []mirrorsetv1alpha1.MirrorNode{behind}, 0, "AppliedOnAllNodes",
			"The sets are in force on all nodes as they are now: 1 node has revision 1790000000001 in force. The next change must wait: rolled back to revision 1790000000001" + janeSaid + ", and paused" + janeSaid + ".", ""},
	}
}

func (s *state) fixture(t *testing.T) *fixture {
	t.Helper()
	return &fixture{sets: []configv1.ImageDigestMirrorSet{s.set}, nodes: s.nodes, configMap: plugintest.NewSteered(t, s.published, s.canary, s.rollout)}
}

func TestEachStateIsToldAsItIs(t *testing.T) {
	for _, s := range states(t) {
		t.Run(s.name, func(t *testing.T) {
			objects, stderr := s.fixture(t).serve(t), ""
			r := run(t, objects, "status", "--watch=false")
			if s.code != 0 {
				stderr = r.Stderr
				if !strings.HasPrefix(r.Stderr, "error: the sets are not in force on all nodes as they are now: ") || !strings.HasSuffix(r.Stderr, ". "+s.remedy+"\n") {
					t.Errorf("stderr %q lacks %q", r.Stderr, s.remedy)
				}
			}
			r.Want(t, s.code, s.message+"\n", stderr)

			r = run(t, objects, "status", "-o", "json")
			var got report
			if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || r.Stderr != "" || r.Code != s.code {
				t.Fatalf("%v, exit code %d: %s", err, r.Code, r.Stderr)
			}
			if got.Reason != s.reason || got.Message != s.message || got.Remedy != s.remedy || got.Done != (s.reason == "AppliedOnAllNodes") || got.Total != len(s.nodes) || (got.Canaries != nil) != (s.canary != nil) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What a watch ends with is what stays: the end, an error with a remedy, or the timeout.
func TestAWatchEndsWhereWaitingDoesNotHelp(t *testing.T) {
	for _, s := range states(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			timeout := "--timeout=1m"
			waits := s.code == 0 && s.reason != "AppliedOnAllNodes" || s.name == "nodes are about to follow an undo"
			if waits {
				timeout = "--timeout=1500ms"
			}
			r := run(t, s.fixture(t).serve(t), "status", timeout)
			switch {
			case s.reason == "AppliedOnAllNodes":
				r.Want(t, 0, s.message+"\n", "")
			case !waits:
				if r.Code != 1 || r.Stdout != s.message+"\n" || !strings.HasSuffix(r.Stderr, ". "+s.remedy+"\n") {
					t.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
				}
			default:
				r.Want(t, 1, s.message+"\n", "error: after 1.5s, not all nodes have the sets in force as they are now\n")
			}
		})
	}
}

// The statuses of sets may be from before the change that mends them, whose annotation makes no generation.
func TestWhatOnlySetsTellHasToStay(t *testing.T) {
	f, start := follower{out: &strings.Builder{}}, time.Now()
	doubtful, moves := report{Message: "a", Remedy: "r", doubtful: true}, report{Message: "b"}
	for i, step := range []struct {
		r     report
		after time.Duration
		fails bool
	}{{doubtful, 0, false}, {doubtful, 4 * time.Second, false}, {moves, 4 * time.Second, false}, {doubtful, 6 * time.Second, false}, {doubtful, 10 * time.Second, false}, {doubtful, 12 * time.Second, true}} {
		if done, err := f.see(step.r, start.Add(step.after)); done || (err != nil) != step.fails {
			t.Errorf("step %d: %t, %v", i, done, err)
		}
	}
}

// After a break the copies of what is followed come back one by one. The end is what the cluster says at that moment.
func TestAWatchIsDoneByWhatTheClusterHasNow(t *testing.T) {
	now := payloadOf(t, second, blocked)
	f := fixture{sets: []configv1.ImageDigestMirrorSet{blocked}, nodes: []mirrorsetv1alpha1.MirrorNode{nodeWith("node-1", now)}, configMap: plugintest.NewSteered(t, now, nil, payload.Rollout{})}
	objects := f.serve(t)
	changed := blocked
	changed.Generation++
	sets, later := plugintest.SetList(blocked), plugintest.SetList(changed)
	var asked atomic.Int32
	objects[plugintest.SetsPath] = plugintest.Lists(t, sets, func() any { // the copy is of before
		if asked.Add(1) <= 2 {
			return sets
		}
		return later
	})
	r := run(t, objects, "status", "--timeout=3s")
	if r.Code != 1 || !strings.Contains(r.Stdout, "The manager has not yet published the latest change or deletion of a set.") || !strings.HasPrefix(r.Stderr, "error: after 3s, not all nodes have the sets in force") {
		t.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

func TestFlagsOfStatusThatCountForNothingAreErrors(t *testing.T) {
	objects := (&fixture{}).serve(t)
	run(t, objects, "status", "-o", "json", "--watch").WantError(t, `--output "json": --watch prints text only`)
	run(t, objects, "status", "--watch=false", "--timeout=1s").WantError(t, "--timeout is for --watch only")
	run(t, objects, "status", "-o", "wide").WantError(t, `--output "wide": the value must be one of text, json, yaml`)
	hangs := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	run(t, map[string]any{plugintest.NodesPath: hangs}, "status", "--timeout=100ms").WantError(t, "the API server did not answer within 100ms")
}
