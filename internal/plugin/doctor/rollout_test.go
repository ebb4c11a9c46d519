// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// What keeps the sets from the nodes is told with the command that ends it, and what a person wrote there cannot reach the terminal.
func TestARolloutThatStandsIsTold(t *testing.T) {
	at := metav1.Date(2026, 11, 29, 16, 40, 5, 0, time.UTC)
	order := payload.Order{By: "jane", At: at, Why: "spare \u202enodes\x1b[31m"}
	const said = ` by jane at 2026-11-29T16:40:05Z (spare  nodes [31m)`
	halt := payload.Halt{Revision: plugintest.CurrentRevision - 1, Digest: "sha256:other", Node: "node-1", Why: "quay.io cannot be reached"}
	for _, tt := range []struct {
		name    string
		pending bool
		rollout payload.Rollout
		code    int
		want    string
	}{
		{"paused, and nothing waits", false, payload.Rollout{Paused: &order}, 0, "WARNING  rollout: paused" + said + "; the next change of a set must wait\n    To let changes through again: kubectl mirrors rollout resume\n"},
		{"paused", true, payload.Rollout{Paused: &order}, 1, "PROBLEM  sets: not in force as they are now: paused" + said + "\n    To continue: kubectl mirrors rollout resume\n"},
		{"undone", true, payload.Rollout{Undone: &payload.Undo{Order: order, Revision: 7, Digest: rulesAt(1).Digest}, Paused: &order}, 1,
			"PROBLEM  sets: not in force as they are now: rolled back to revision 7" + said + "\n    Fix the sets, then: kubectl mirrors rollout resume --all\n"},
		{"halted", true, payload.Rollout{Halted: &halt}, 1, "PROBLEM  sets: not in force as they are now: canary node-1 failed with revision 1795573438817, so the other nodes do not get it (quay.io cannot be reached)\n" +
			"    Fix the sets; or, to try the same change again: kubectl mirrors rollout resume\n"},
		{"it halted once", false, payload.Rollout{Halted: &halt}, 0, ""},
		{"nobody's order", true, payload.Rollout{}, 0, "WARNING  sets: the manager has not yet published the latest change or deletion of a set\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			objects := healthy(t)
			configMap := objects[plugintest.ConfigMapPath].(map[string]any)
			annotations := configMap["metadata"].(map[string]any)["annotations"].(map[string]string)
			maps.Copy(annotations, tt.rollout.Annotations())
			if tt.pending {
				annotations[payload.SetsAnnotation] = "sha256:of-other-sets"
			}
			r := run(t, "", "doctor", "--server", plugintest.Serve(t, objects))
			if r.Code != tt.code || !strings.Contains(r.Stdout, tt.want) || tt.want == "" && r.Stderr != "Nothing is wrong.\n" {
				t.Errorf("exit code %d:\n%s\nwant %d with\n%s", r.Code, r.Stdout, tt.code, tt.want)
			}
		})
	}
}

// A canary follows to another revision than the rest.
func TestACanaryIsToldOfWhatItTries(t *testing.T) {
	const warning = "WARNING  rollout: all nodes are canaries, so each change reaches all of them immediately\n    Change the manager's --canary-selector so that it matches fewer nodes.\n"
	objects := healthy(t)
	p := rulesAt(plugintest.CurrentRevision)
	canary := &payload.Canary{Payload: rulesAt(plugintest.CurrentRevision + 1), Nodes: []string{"node-1"}}
	objects[plugintest.ConfigMapPath] = http.HandlerFunc(plugintest.NewSteered(t, p, canary, payload.Rollout{}).Serve)
	r := run(t, "", "doctor", "--server", plugintest.Serve(t, objects))
	for _, want := range []string{
		"WARNING  node/node-1: it has revision 1795573438818 in force, and has not yet followed to revision 1795573438819\n",
		"OK       nodes: 1 node has its rules in force: revision 1795573438818, or revision 1795573438819 on canaries\n",
		"WARNING  sets: ",
	} {
		if r.Code != 0 || !strings.Contains(r.Stdout, want) {
			t.Errorf("exit code %d:\n%s\nlacks\n%s", r.Code, r.Stdout, want)
		}
	}
	if strings.Contains(r.Stdout, warning) {
		t.Errorf("one of two nodes is a canary:\n%s", r.Stdout)
	}
	objects[plugintest.NodesPath] = plugintest.NodeList(inForceAt("node-1", p))
	if r := run(t, "", "doctor", "--server", plugintest.Serve(t, objects)); !strings.Contains(r.Stdout, warning) {
		t.Errorf("the only node is a canary, and this is not said:\n%s", r.Stdout)
	}
}

func TestImagesThatANodeCouldNotPullAgainAreAProblem(t *testing.T) {
	objects := healthy(t)
	node := inForceAt("node-1", rulesAt(plugintest.CurrentRevision))
	node.Status.Conditions = append(node.Status.Conditions, metav1.Condition{Type: mirrorsetv1alpha1.ConditionImagesPullable, Status: metav1.ConditionFalse, Message: "1 image cannot be pulled again:\nquay.io/a: 404"})
	objects[plugintest.NodesPath] = plugintest.NodeList(node)
	r := run(t, "", "doctor", "--server", plugintest.Serve(t, objects))
	const want = "PROBLEM  node/node-1: 1 image cannot be pulled again:\n    quay.io/a: 404\n" +
		"    Fix the sets or the mirrors; to check the mirrors of an image: kubectl mirrors check IMAGE.\n    To move all nodes back to the previous revision meanwhile: kubectl mirrors rollout undo\n"
	if r.Code != 1 || !strings.HasPrefix(r.Stdout, want) {
		t.Errorf("exit code %d:\n%s\nwant\n%s", r.Code, r.Stdout, want)
	}
}
