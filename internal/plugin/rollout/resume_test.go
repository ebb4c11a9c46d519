// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"maps"
	"strings"
	"testing"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

var (
	janesUndo = payload.Undo{Order: byJane, Revision: first, Digest: "sha256:x"}
	aHalt     = payload.Halt{Node: "node-1", Revision: second, Why: "404", At: at}
)

const (
	haltSaid      = "halted: canary node-1 failed with revision 1790000000002 at 2026-11-29T16:40:05Z, so the other nodes do not get it (404)"
	willPublish   = "Next, the manager publishes the sets as they are: to canaries first if it has a canary selector, otherwise to all nodes immediately. To follow it: kubectl mirrors rollout status\n"
	triedAgain    = " The manager tries the same change again, unless the sets were fixed.\n"
	untilThatEnds = "The manager publishes no change until you end that too: kubectl mirrors rollout resume\n"
)

func TestResumeSaysWhatItEndsAndWhatIsNext(t *testing.T) {
	good, bad := aSet(1, "m.example/quay", ""), aSet(2, "n.example/quay", "")
	all := payload.Rollout{Paused: &byJane, Undone: &janesUndo, Halted: &aHalt}
	for _, tt := range []struct {
		name    string
		set     configv1.ImageDigestMirrorSet
		canary  *payload.Canary
		rollout payload.Rollout
		args    []string
		says    string
		left    payload.Rollout
	}{
		{"a pause that kept nothing back", good, nil, payload.Rollout{Paused: &byJane}, nil,
			"It was paused" + janeSaid + ".\nAll nodes already get the sets as they are, so the manager publishes nothing new.\n", payload.Rollout{}},
		{"a pause", bad, nil, payload.Rollout{Paused: &byJane}, nil, "It was paused" + janeSaid + ".\n" + willPublish, payload.Rollout{}},
		{"a pause in a stage", bad, &payload.Canary{Payload: payloadOf(t, second, bad), Nodes: []string{"node-1"}}, payload.Rollout{Paused: &byJane}, nil,
			"It was paused" + janeSaid + ".\nNext, canaries continue with revision 1790000000002, and their soak time starts again. To follow it: kubectl mirrors rollout status\n", payload.Rollout{}},
		{"an undo", bad, nil, payload.Rollout{Undone: &janesUndo}, nil, "It was rolled back to revision 1790000000001" + janeSaid + ".\n" + willPublish, payload.Rollout{}},
		{"a halt", bad, nil, payload.Rollout{Halted: &aHalt}, []string{"--all"}, "It was " + haltSaid + "." + triedAgain + willPublish, payload.Rollout{}},
		{"all three", bad, nil, all, []string{"--all"},
			"It was paused" + janeSaid + ".\nIt was rolled back to revision 1790000000001" + janeSaid + ".\nIt was " + haltSaid + "." + triedAgain + willPublish, payload.Rollout{}},
		{"a halt, and a colleague paused", bad, nil, payload.Rollout{Paused: &byJane, Halted: &aHalt}, []string{"--only=halt"},
			"It was " + haltSaid + "." + triedAgain + "It stays paused" + janeSaid + ".\n" + untilThatEnds, payload.Rollout{Paused: &byJane}},
		{"a pause, and a colleague undid", bad, nil, payload.Rollout{Paused: &byJane, Undone: &janesUndo}, []string{"--only=pause"},
			"It was paused" + janeSaid + ".\nIt stays rolled back to revision 1790000000001" + janeSaid + ".\n" + untilThatEnds, payload.Rollout{Undone: &janesUndo}},
		{"an undo, and a canary failed", bad, nil, payload.Rollout{Undone: &janesUndo, Halted: &aHalt}, []string{"--only=undo"},
			"It was rolled back to revision 1790000000001" + janeSaid + ".\nIt stays " + haltSaid + ".\n" +
				"Next, canaries try the sets as they are, unless that is the change that failed. To follow it: kubectl mirrors rollout status\n", payload.Rollout{Halted: &aHalt}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fixture{sets: []configv1.ImageDigestMirrorSet{tt.set}, configMap: plugintest.NewSteered(t, payloadOf(t, first, good), tt.canary, tt.rollout)}
			objects := f.serve(t)
			run(t, objects, append([]string{"resume"}, tt.args...)...).Want(t, 0, "configmap/containers-registries.conf resumed\n"+tt.says, "")
			if got, want := f.configMap.Rollout().Annotations(), tt.left.Annotations(); !maps.Equal(got, want) {
				t.Errorf("%v is left, want %v", got, want)
			}
			if len(tt.left.Annotations()) == 0 {
				run(t, objects, "resume").WantError(t, "configmap/containers-registries.conf is not paused, undone or halted, so there is nothing to resume")
			}
		})
	}
}

// What one person ends for a reason of his own may be two things, of which a colleague ordered the other.
func TestResumeEndsOneOfSeveralByNameOnly(t *testing.T) {
	good := aSet(1, "m.example/quay", "")
	f := fixture{configMap: plugintest.NewSteered(t, payloadOf(t, first, good), nil, payload.Rollout{Paused: &byJane, Undone: &janesUndo, Halted: &aHalt})}
	run(t, f.serve(t), "resume").Want(t, 1, "", "error: changes are kept from the nodes for more than one reason, so nothing was resumed. Choose which to end:\n"+
		"  paused"+janeSaid+"\n    kubectl mirrors rollout resume --only=pause\n"+
		"  rolled back to revision 1790000000001"+janeSaid+"\n    kubectl mirrors rollout resume --only=undo\n"+
		"  "+haltSaid+"\n    kubectl mirrors rollout resume --only=halt\n"+
		"  all of these, after which the manager publishes the sets as they are: to canaries first if it has a canary selector, otherwise to all nodes immediately\n    kubectl mirrors rollout resume --all\n")
	if len(f.configMap.Patches) > 0 {
		t.Errorf("%v", f.configMap.Patches)
	}

	f = fixture{configMap: plugintest.NewSteered(t, payloadOf(t, first, good), nil, payload.Rollout{Halted: &aHalt})}
	run(t, f.serve(t), "resume", "--only=pause").WantError(t, "configmap/containers-registries.conf has no pause to end; it is "+haltSaid)
	run(t, f.serve(t), "resume", "--only=pause", "--all").WantError(t, "--only and --all cannot be combined")
	run(t, f.serve(t), "resume", "--only=paused").WantError(t, `--only "paused": the value must be pause, undo or halt`)
	f.configMap.Meanwhile = func(annotations map[string]string) { // a colleague is faster
		annotations[payload.PausedAnnotation] = payload.Rollout{Paused: &byJane}.Annotations()[payload.PausedAnnotation]
	}
	if r := run(t, f.serve(t), "resume"); r.Code != 1 || !strings.Contains(r.Stderr, "paused"+janeSaid) || f.configMap.Rollout().Paused == nil {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
}

// An order that nobody can read stops the manager, and has to be something that can be ended.
func TestWhatCannotBeReadIsEndedToo(t *testing.T) {
	f := fixture{configMap: plugintest.NewSteered(t, payloadOf(t, first), nil, payload.Rollout{})}
	f.configMap.Meanwhile = func(annotations map[string]string) { annotations[payload.UndoneAnnotation] = "back!" }
	objects := f.serve(t)
	if r := run(t, objects, "pause"); r.Code != 1 || !strings.Contains(r.Stderr, "already paused (mirrorset.io/undone cannot be read: back!)") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
	if r := run(t, objects, "resume", "--only=undo"); r.Code != 0 || !strings.Contains(r.Stdout, "It was paused, because mirrorset.io/undone cannot be read: back!.\n") {
		t.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	f.configMap.Meanwhile = func(annotations map[string]string) { annotations[payload.HaltedAnnotation] = "it broke" }
	run(t, objects, "pause").MustSucceed(t)
	if r := run(t, objects, "resume"); r.Code != 1 || !strings.Contains(r.Stderr, "halted, and mirrorset.io/halted cannot be read: it broke\n") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
	run(t, objects, "resume", "--all").MustSucceed(t)
	if left := f.configMap.Rollout(); left != (payload.Rollout{}) {
		t.Errorf("%+v", left)
	}
}
