// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"strings"
	"testing"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

var (
	open    = aSet(1, "m.example/quay", "")
	blocked = aSet(2, "n.example/quay", configv1.NeverContactSource)
	later   = aSet(3, "l.example/quay", "")
)

// threeRecords are those of a set that was made, had its source blocked, and opened again.
func threeRecords(t *testing.T) []history.Record {
	t.Helper()
	a := recordOf(t, first, nil, open)
	b := recordOf(t, second, &a, blocked)
	c := recordOf(t, third, &b, later)
	return []history.Record{a, c, b} // in no order
}

func TestAnUndoGoesBackToWhatAllNodesHadOrHave(t *testing.T) {
	records := threeRecords(t)
	latest, canary := payloadOf(t, second, blocked), &payload.Canary{Payload: payloadOf(t, third, later), Nodes: []string{"node-1"}}
	halted := payload.Rollout{Halted: &payload.Halt{Revision: third, Digest: canary.Digest, Node: "node-1"}}
	elsewhere := payload.Rollout{Undone: &payload.Undo{Order: byJane, Revision: third, Digest: records[1].Digest}}
	for _, tt := range []struct {
		name    string
		canary  *payload.Canary
		rollout payload.Rollout
		args    []string
		to      int64
		refused string
	}{
		{"the one before", nil, payload.Rollout{}, nil, first, ""},
		{"the one that all nodes have, while canaries try another", canary, payload.Rollout{}, nil, second, ""},
		{"the one that all nodes have, after a canary failed", nil, halted, nil, second, ""},
		{"one that is named", nil, payload.Rollout{}, []string{"--to-revision=1790000000003"}, third, ""},
		{"the one that all nodes have, by name, while canaries try another", canary, payload.Rollout{}, []string{"--to-revision=1790000000002"}, second, ""},
		{"another than before", nil, elsewhere, []string{"--to-revision=1790000000001"}, first, ""},
		{"a pause stands in no way", nil, payload.Rollout{Paused: &byJane}, nil, first, ""},
		{"the one in force", nil, payload.Rollout{}, []string{"--to-revision=1790000000002"}, 0, "revision 1790000000002 is already the revision that all nodes should have"},
		{"the same again", nil, elsewhere, []string{"--to-revision=1790000000003"}, 0, "configmap/containers-registries.conf is already rolled back to revision 1790000000003" + janeSaid},
		{"none is named, after an undo", nil, elsewhere, nil, 0, "is already rolled back to revision 1790000000003" + janeSaid + "; name another revision with --to-revision, or end the undo: kubectl mirrors rollout resume"},
		{"one that there is not", nil, payload.Rollout{}, []string{"--to-revision=7"}, 0, "revision 7 is not in the history; choose one of 1790000000003, 1790000000002, 1790000000001"},
		{"a mode that there is not", nil, payload.Rollout{}, []string{"--dry-run=yes"}, 0, `--dry-run "yes": the value must be none, client or server`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fixture{records: records, configMap: plugintest.NewSteered(t, latest, tt.canary, tt.rollout)}
			r := run(t, f.serve(t), append([]string{"undo", "--reason=typo"}, tt.args...)...)
			undone := f.configMap.Rollout().Undone
			if tt.refused != "" {
				if !strings.HasPrefix(r.Stderr, "error: ") || !strings.Contains(r.Stderr, tt.refused) || r.Code != 1 || len(f.configMap.Patches) > 0 {
					t.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
				}
				return
			}
			if r.Code != 0 || undone == nil || undone.Revision != tt.to || undone.By != "jane" || undone.Why != "typo" {
				t.Fatalf("exit code %d, %+v: %s%s", r.Code, undone, r.Stdout, r.Stderr)
			}
			for _, record := range records {
				if record.Revision == tt.to && record.Digest != undone.Digest {
					t.Errorf("digest %s, want %s", undone.Digest, record.Digest)
				}
			}
		})
	}
}

func TestAnUndoSaysWhatItDoesBeforeItDoesIt(t *testing.T) {
	const warning = "warning: OpensSources: nodes may then contact 1 source that is blocked now: quay.io\n"
	const table = `SOURCE    CHANGE                           BEFORE           AFTER
quay.io   mirrors added, removed, opened   n.example/quay   m.example/quay
                                           <refused>        quay.io

`
	for _, dry := range []string{"client", "server"} {
		f := fixture{records: threeRecords(t), configMap: plugintest.NewSteered(t, payloadOf(t, second, blocked), nil, payload.Rollout{})}
		r := run(t, f.serve(t), "undo", "--dry-run="+dry)
		note := map[string]string{"client": "dry run", "server": "server dry run"}[dry]
		r.Want(t, 0, table+"configmap/containers-registries.conf rolled back to revision 1790000000001 ("+note+")\n", warning)
		if asked := len(f.configMap.Patches); f.configMap.Rollout().Undone != nil || dry == "client" && asked > 0 || dry == "server" && (asked != 1 || f.configMap.Patches[0].Get("dryRun") != "All") {
			t.Errorf("%s: %v", dry, f.configMap.Patches)
		}
	}
	f := fixture{records: threeRecords(t), configMap: plugintest.NewSteered(t, payloadOf(t, second, blocked), nil, payload.Rollout{})}
	run(t, f.serve(t), "undo").Want(t, 0, "Image pulls from 1 source change; to see how: kubectl mirrors diff --revision 1790000000002 --revision 1790000000001\n"+
		"configmap/containers-registries.conf rolled back to revision 1790000000001\nAll nodes go back to it immediately. Fix the sets, then: kubectl mirrors rollout resume\n", warning)

	f = fixture{records: threeRecords(t), configMap: plugintest.NewSteered(t, payloadOf(t, second, blocked), nil, payload.Rollout{Halted: &payload.Halt{Revision: third, Node: "node-1"}})}
	run(t, f.serve(t), "undo", "--dry-run=client").Want(t, 0, "No image pull on any node changes.\nconfigmap/containers-registries.conf rolled back to revision 1790000000002 (dry run)\n", "")
}

// What canaries try is what changes then: all other nodes keep what they have.
func TestAnUndoInAStageIsAboutTheCanaries(t *testing.T) {
	canary := &payload.Canary{Payload: payloadOf(t, third, later), Nodes: []string{"node-1"}}
	f := fixture{records: threeRecords(t), configMap: plugintest.NewSteered(t, payloadOf(t, second, blocked), canary, payload.Rollout{})}
	run(t, f.serve(t), "undo", "--dry-run=client").Want(t, 0, `SOURCE    CHANGE                            BEFORE           AFTER
quay.io   mirrors added, removed, blocked   l.example/quay   n.example/quay
                                            quay.io          <refused>

configmap/containers-registries.conf rolled back to revision 1790000000002 (dry run)
`, "")
}

// What was looked at is what is undone: "the one before" is another one after another change.
func TestAnUndoDoesNotUndoWhatWasPublishedMeanwhile(t *testing.T) {
	f := fixture{records: threeRecords(t), configMap: plugintest.NewSteered(t, payloadOf(t, second, blocked), nil, payload.Rollout{})}
	f.configMap.Meanwhile = func(annotations map[string]string) { // all nodes have the one before, so that a halt is what is taken back
		annotations[payload.HaltedAnnotation] = payload.Rollout{Halted: &payload.Halt{Revision: third, Node: "node-1"}}.Annotations()[payload.HaltedAnnotation]
	}
	r := run(t, f.serve(t), "undo")
	if r.Code != 1 || !strings.HasSuffix(r.Stderr, "error: another change was published or halted meanwhile, so nothing was undone; check again with --dry-run=client\n") || f.configMap.Rollout().Undone != nil {
		t.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

func TestAHistoryThatIsTooShortIsNamed(t *testing.T) {
	f := fixture{configMap: plugintest.NewSteered(t, payloadOf(t, first, open), nil, payload.Rollout{})}
	run(t, f.serve(t), "undo").WantError(t, "the history has no revision before 1790000000001, which all nodes have")
	run(t, f.serve(t), "undo", "--to-revision=7").WantError(t, "revision 7 is not in the history: the history is still empty")
	f.configMap = plugintest.NewSteered(t, payloadOf(t, first, open), nil, payload.Rollout{Halted: &payload.Halt{Revision: second, Node: "node-1"}})
	run(t, f.serve(t), "undo").WantError(t, "the history does not yet have revision 1790000000001, which all nodes have; try again in a moment. If that does not help, the manager cannot write the history, and its log shows why: kubectl -n mirrorset-system logs deployment/mirrorset-manager")
}
