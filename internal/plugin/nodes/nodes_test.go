// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func mixedFleet() mirrorsetv1alpha1.MirrorNodeList {
	return plugintest.NodeList(
		plugintest.NodeAt("node-1", plugintest.CurrentRevision),
		plugintest.NodeAt("node-2", plugintest.CurrentRevision-1),
		plugintest.NodeAt("node-3", plugintest.CurrentRevision, plugintest.Says("Applied", metav1.ConditionFalse, "NotInForce", "first line\nsecond line")),
		plugintest.NodeAt("node-4", 0, plugintest.SaysNothing),
		plugintest.NodeAt("node-5", plugintest.CurrentRevision, plugintest.Says("RuntimeReady", metav1.ConditionUnknown, "NotReady", "nobody knows")),
	)
}

func TestNodesAreListedWithTheWorstFirst(t *testing.T) {
	url := plugintest.Serve(t, map[string]any{plugintest.NodesPath: mixedFleet(), plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, plugintest.Current)})
	summary := "2 of 5 nodes have revision 1795573438818 in force; 1 failing, 1 silent, 1 behind.\n"
	for _, tt := range []struct {
		name, stdout, stderr string
		args                 []string
	}{
		{"as a table", `NODE     RUNTIME      REVISION        STATE     AGE
node-3   containerd   1795573438818   Failing   3m30s
node-4   CRI-O        <none>          Silent    <none>
node-2   containerd   1795573438817   Behind    3m30s
node-1   containerd   1795573438818   InForce   3m30s
node-5   containerd   1795573438818   InForce   3m30s
`, summary, nil},
		{"wide", `NODE     RUNTIME      REVISION        STATE     AGE      CANARY   FAULTS      MESSAGE
node-3   containerd   1795573438818   Failing   3m30s    no       <unknown>   first line...
node-4   CRI-O        <none>          Silent    <none>   no       <unknown>   no agent has reported from this node
node-2   containerd   1795573438817   Behind    3m30s    no       <unknown>   <none>
node-1   containerd   1795573438818   InForce   3m30s    no       <unknown>   <none>
node-5   containerd   1795573438818   InForce   3m30s    no       <unknown>   nobody knows
`, summary, []string{"-o", "wide"}},
		{"without headers, one of them", "node-1   containerd   1795573438818   InForce   3m30s\n", "1 node has revision 1795573438818 in force.\n", []string{"--no-headers", "node-1"}},
		{"by name", "mirrornode.mirrorset.io/node-2\nmirrornode.mirrorset.io/node-1\n", "", []string{"-o", "name", "node-1", "node-2"}},
		{"as YAML", `inForce: 0
nodes:
- message: no agent has reported from this node
  name: node-4
  runtime: CRI-O
  state: Silent
published:
  digest: ` + plugintest.Current.Digest + `
  revision: 1795573438818
total: 1
`, "", []string{"-o", "yaml", "node-4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, "", append([]string{"nodes", "--server", url}, tt.args...)...).Want(t, 0, tt.stdout, tt.stderr)
		})
	}
}

// What a canary is to have is not what the others are to have (C1).
func TestCanariesAreJudgedByWhatTheyTry(t *testing.T) {
	tried := payload.New(plugintest.CurrentRevision+1, []byte("tried"))
	at := func(name string, p payload.Payload) mirrorsetv1alpha1.MirrorNode {
		return plugintest.NodeAt(name, p.Revision, func(n *mirrorsetv1alpha1.MirrorNode) { n.Status.Digest = p.Digest })
	}
	unpullable := at("node-4", tried)
	unpullable.Status.Conditions = append(unpullable.Status.Conditions, metav1.Condition{Type: mirrorsetv1alpha1.ConditionImagesPullable, Status: metav1.ConditionFalse, Message: "1 image cannot be pulled again"})
	nodes := plugintest.NodeList(at("node-1", plugintest.Current), at("node-2", tried), at("node-3", plugintest.Current), unpullable)
	canary := &payload.Canary{Payload: tried, Nodes: []string{"node-3", "node-4", "node-5"}}
	configMap := plugintest.NewSteered(t, plugintest.Current, canary, payload.Rollout{})
	url := plugintest.Serve(t, map[string]any{plugintest.NodesPath: nodes, plugintest.ConfigMapPath: http.HandlerFunc(configMap.Serve)})
	run(t, "", "nodes", "--server", url, "-o", "wide").Want(t, 0, `NODE     RUNTIME      REVISION        STATE     AGE     CANARY   FAULTS      MESSAGE
node-3   containerd   1795573438818   Behind    3m30s   yes      <unknown>   <none>
node-2   containerd   1795573438819   Ahead     3m30s   no       <unknown>   it has a later revision than the published revision 1795573438818; the manager will publish again with a higher number
node-1   containerd   1795573438818   InForce   3m30s   no       <unknown>   <none>
node-4   containerd   1795573438819   InForce   3m30s   yes      <unknown>   1 image cannot be pulled again
`, "1 of 2 nodes have revision 1795573438818 in force; 3 canaries try revision 1795573438819 (1 has it in force); 1 behind, 1 ahead.\n")
	run(t, "", "nodes", "--server", url, "--no-headers", "node-4").Want(t, 0, "node-4   containerd   1795573438819   InForce   3m30s\n", "1 canary tries revision 1795573438819 (1 has it in force).\n")
	run(t, "", "nodes", "--server", url, "--no-headers", "node-1").Want(t, 0, "node-1   containerd   1795573438818   InForce   3m30s\n", "1 node has revision 1795573438818 in force.\n")
	r := run(t, "", "nodes", "--server", url, "-o", "json")
	var got cluster.Fleet
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || got.Canaries == nil || got.Canaries.Revision != tried.Revision || got.Canaries.InForce != 1 || len(got.Canaries.Nodes) != 3 || !got.Nodes[0].Canary || got.Nodes[1].Canary {
		t.Errorf("%v: %+v", err, got)
	}
}

func TestNodesSayWhichMirrorsTheyCannotPullFrom(t *testing.T) {
	seeing := func(faults ...mirrorsetv1alpha1.MirrorFault) func(*mirrorsetv1alpha1.MirrorNode) {
		return func(n *mirrorsetv1alpha1.MirrorNode) {
			sees := true
			n.Status.SeesPulls, n.Status.MirrorFaults = &sees, faults
		}
	}
	q, r := mirrorsetv1alpha1.MirrorFault{Mirror: "m.com/q", State: mirrorsetv1alpha1.MirrorSilent}, mirrorsetv1alpha1.MirrorFault{Mirror: "n.com", State: mirrorsetv1alpha1.MirrorRefuses}
	blind := false
	nodes := plugintest.NodeList(
		plugintest.NodeAt("node-1", plugintest.CurrentRevision, seeing()),
		plugintest.NodeAt("node-2", plugintest.CurrentRevision, seeing(q)),
		plugintest.NodeAt("node-3", plugintest.CurrentRevision, seeing(q, r, r)),
		plugintest.NodeAt("node-4", plugintest.CurrentRevision, seeing(q), plugintest.Says("Applied", metav1.ConditionUnknown, "AgentNotReady", "its agent has no Pod")),
		plugintest.NodeAt("node-5", plugintest.CurrentRevision, func(n *mirrorsetv1alpha1.MirrorNode) { n.Status.SeesPulls = &blind }),
	)
	url := plugintest.Serve(t, map[string]any{plugintest.NodesPath: nodes, plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, plugintest.Current)})
	run(t, "", "nodes", "--server", url, "-o", "wide", "--no-headers").Want(t, 0, `node-4   containerd   1795573438818   Silent    3m30s   no    <unknown>                     its agent has no Pod
node-1   containerd   1795573438818   InForce   3m30s   no    <none>                        <none>
node-2   containerd   1795573438818   InForce   3m30s   no    m.com/q: Silent               <none>
node-3   containerd   1795573438818   InForce   3m30s   no    m.com/q: Silent, and 2 more   <none>
node-5   containerd   1795573438818   InForce   3m30s   no    <unknown>                     <none>
`, "4 of 5 nodes have revision 1795573438818 in force; 1 silent.\n")
}

func TestTheFleetAsJSONHasAllThatTheTableHas(t *testing.T) {
	url := plugintest.Serve(t, map[string]any{plugintest.NodesPath: mixedFleet(), plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, plugintest.Current)})
	r := run(t, "", "nodes", "--server", url, "-o", "json")
	var got cluster.Fleet
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || r.Code != 0 || r.Stderr != "" {
		t.Fatalf("%v, exit code %d, stderr %q", err, r.Code, r.Stderr)
	}
	if got.InForce != 2 || got.Total != 5 || got.Published.Revision != plugintest.CurrentRevision || got.Nodes[0].Name != "node-3" || got.Nodes[0].Message != "first line\nsecond line" || got.Nodes[0].AppliedAt == nil {
		t.Errorf("%+v", got)
	}
}

func TestNodesWithoutAnswersAreErrors(t *testing.T) {
	url := plugintest.Serve(t, map[string]any{plugintest.NodesPath: mixedFleet(), plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, plugintest.Current)})
	damaged := plugintest.ConfigMapOf(t, plugintest.Current)
	damaged["data"] = map[string]string{payload.Key: "other"}
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"a node that is none", "error: there is no MirrorNode \"node-9\"\n", []string{"--server", url, "node-1", "node-9"}},
		{"a format that is none", "error: --output \"xml\": the value must be one of table, wide, json, yaml, name\n", []string{"--server", url, "-o", "xml"}},
		{"a stream of JSON", "error: --output \"json\": --watch prints tables only\n", []string{"--server", url, "-o", "json", "-w"}},
		{"a cluster without Mirrorset", "error: the API server does not serve mirrornodes.mirrorset.io; check that Mirrorset is installed in this cluster: ", []string{"--server", plugintest.Serve(t, nil)}},
		{"a cluster without Mirrorset, watched", "error: the API server does not serve mirrornodes.mirrorset.io; check that Mirrorset is installed in this cluster: ", []string{"--server", plugintest.Serve(t, nil), "-w"}},
		{"a damaged ConfigMap", "error: ConfigMap mirrorset-system/containers-registries.conf: ", []string{"--server", plugintest.Serve(t, map[string]any{plugintest.NodesPath: mixedFleet(), plugintest.ConfigMapPath: damaged})}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, "", append([]string{"nodes"}, tt.args...)...)
			if r.Code != 1 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, tt.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %q", r.Code, r.Stdout, r.Stderr, tt.want)
			}
		})
	}
}

func TestAWatchPrintsEachChangeOnceAndEndsWhenAllAreThere(t *testing.T) {
	var stdout, stderr bytes.Buffer
	p := progress{table: (&output.Listing{}).NewTable(&stdout, nodeColumns...), stderr: &stderr, live: &output.LiveLine{Out: &stderr, Columns: func() int { return 100 }}, shown: make(map[string]cluster.Node)}
	wide, narrow := plugintest.NodeAt("node-with-a-long-name", plugintest.CurrentRevision-1), plugintest.NodeAt("node-2", plugintest.CurrentRevision)
	step := func(want bool, pending string, nodes ...mirrorsetv1alpha1.MirrorNode) {
		t.Helper()
		var hold *cluster.Hold
		if pending != "" {
			hold = &cluster.Hold{Why: pending}
		}
		done, err := p.update(cluster.Survey(nodes, &cluster.Publication{Payload: plugintest.Current}), hold)
		if err != nil || done != want {
			t.Errorf("done: %t, %v; want %t", done, err, want)
		}
	}
	step(false, "")
	step(false, "", plugintest.NodeAt("node-with-a-long-name", plugintest.CurrentRevision-2), narrow)
	step(false, "", wide, narrow)
	step(false, "", wide, narrow)
	step(false, "the manager", plugintest.NodeAt("node-with-a-long-name", plugintest.CurrentRevision), narrow)
	step(true, "", plugintest.NodeAt("node-with-a-long-name", plugintest.CurrentRevision), narrow)
	p.end()
	const want = `NODE                    RUNTIME      REVISION        STATE     AGE
node-with-a-long-name   containerd   1795573438816   Behind    3m30s
node-2                  containerd   1795573438818   InForce   3m30s
node-with-a-long-name   containerd   1795573438817   Behind    3m30s
node-with-a-long-name   containerd   1795573438818   InForce   3m30s
`
	if stdout.String() != want {
		t.Errorf("stdout:\n%s\nwant:\n%s", &stdout, want)
	}
	const part, all = "1 of 2 nodes have revision 1795573438818 in force; 1 behind.", "2 nodes have revision 1795573438818 in force."
	lines := output.EraseLine + "No node has an agent." + output.EraseLine + output.EraseLine + part + output.EraseLine + output.EraseLine + part +
		output.EraseLine + output.EraseLine + "Waiting: the manager. " + all + output.EraseLine + all + output.EraseLine + all + "\n"
	if stderr.String() != lines {
		t.Errorf("stderr %q, want %q", &stderr, lines)
	}
}

func TestTheShellIsOfferedTheNodesThatAreNotYetGiven(t *testing.T) {
	url := plugintest.Serve(t, map[string]any{plugintest.NodesPath: mixedFleet()})
	r := run(t, "", "__complete", "nodes", "--server", url, "node-2", "")
	if want := "node-1\nnode-3\nnode-4\nnode-5\n:4\n"; r.Stdout != want {
		t.Errorf("%q, want %q", r.Stdout, want)
	}
}

// run runs the verb as the program does.
func run(t *testing.T, stdin string, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(Command()), stdin, args...)
}
