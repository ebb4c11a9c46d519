// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/command"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/standing"
)

// outcome of one run of the program.
type ran struct {
	stdout, stderr string
	code           int
}

// runMain runs the command as the program does.
func runMain(t *testing.T, stdin string, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := NewCommand()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetContext(t.Context())
	code := command.Run(cmd)
	return ran{stdout.String(), stderr.String(), code}
}

// want compares all of it.
func (r ran) want(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	if r.stdout != stdout {
		t.Errorf("stdout:\n%s\nwant:\n%s", r.stdout, stdout)
	}
	if r.stderr != stderr {
		t.Errorf("stderr:\n%s\nwant:\n%s", r.stderr, stderr)
	}
}

const currentRevision = 1795573438818

// current is what is published of no set.
var current = func() payload.Payload {
	p := payload.New(currentRevision, []byte("text"))
	p.Sets = payload.DigestOfSets(nil)
	return p
}()

// nodeAt returns a node that has a revision in force for three minutes.
func nodeAt(name string, revision int64, changes ...func(*mirrorsetv1alpha1.MirrorNode)) mirrorsetv1alpha1.MirrorNode {
	node := mirrorsetv1alpha1.MirrorNode{ObjectMeta: metav1.ObjectMeta{Name: name}}
	node.Status = mirrorsetv1alpha1.MirrorNodeStatus{
		Revision: revision, Digest: current.Digest, Runtimes: []string{"containerd"},
		AppliedAt: &metav1.Time{Time: time.Now().Add(-3*time.Minute - 30*time.Second)},
		Conditions: []metav1.Condition{
			{Type: "Applied", Status: metav1.ConditionTrue, Reason: "InForce", Message: "all rules are in force"},
			{Type: "RuntimeReady", Status: metav1.ConditionTrue, Reason: "Ready", Message: "nothing keeps it"},
		},
	}
	for _, change := range changes {
		change(&node)
	}
	return node
}

// says gives a node one condition.
func says(kind string, status metav1.ConditionStatus, reason, message string) func(*mirrorsetv1alpha1.MirrorNode) {
	return func(node *mirrorsetv1alpha1.MirrorNode) {
		at := slices.IndexFunc(node.Status.Conditions, func(c metav1.Condition) bool { return c.Type == kind })
		node.Status.Conditions[at] = metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
	}
}

// saysNothing is of a node without a report.
func saysNothing(node *mirrorsetv1alpha1.MirrorNode) {
	node.Status = mirrorsetv1alpha1.MirrorNodeStatus{}
	node.Annotations = map[string]string{mirrorsetv1alpha1.RuntimeAnnotation: "cri-o://1.34.1"}
}

func mixedFleet() mirrorsetv1alpha1.MirrorNodeList {
	return nodeList(
		nodeAt("node-1", currentRevision),
		nodeAt("node-2", currentRevision-1),
		nodeAt("node-3", currentRevision, says("Applied", metav1.ConditionFalse, "NotInForce", "first line\nsecond line")),
		nodeAt("node-4", 0, saysNothing),
		nodeAt("node-5", currentRevision, says("RuntimeReady", metav1.ConditionUnknown, "NotReady", "nobody knows")),
	)
}

func TestNodesAreListedWithTheWorstFirst(t *testing.T) {
	url := serve(t, map[string]any{nodesPath: mixedFleet(), configMapPath: configMapOf(t, current)})
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
		{"wide", `NODE     RUNTIME      REVISION        STATE     AGE      MESSAGE
node-3   containerd   1795573438818   Failing   3m30s    first line...
node-4   CRI-O        <none>          Silent    <none>   no agent has reported from this node
node-2   containerd   1795573438817   Behind    3m30s    <none>
node-1   containerd   1795573438818   InForce   3m30s    <none>
node-5   containerd   1795573438818   InForce   3m30s    nobody knows
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
  digest: ` + current.Digest + `
  revision: 1795573438818
total: 1
`, "", []string{"-o", "yaml", "node-4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runMain(t, "", append([]string{"nodes", "--server", url}, tt.args...)...).want(t, 0, tt.stdout, tt.stderr)
		})
	}
}

func TestTheFleetAsJSONHasAllThatTheTableHas(t *testing.T) {
	url := serve(t, map[string]any{nodesPath: mixedFleet(), configMapPath: configMapOf(t, current)})
	r := runMain(t, "", "nodes", "--server", url, "-o", "json")
	var got fleet
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != 0 || r.stderr != "" {
		t.Fatalf("%v, exit code %d, stderr %q", err, r.code, r.stderr)
	}
	if got.InForce != 2 || got.Total != 5 || got.Published.Revision != currentRevision || got.Nodes[0].Name != "node-3" || got.Nodes[0].Message != "first line\nsecond line" || got.Nodes[0].AppliedAt == nil {
		t.Errorf("%+v", got)
	}
}

func TestNodesWithoutAnswersAreErrors(t *testing.T) {
	url := serve(t, map[string]any{nodesPath: mixedFleet(), configMapPath: configMapOf(t, current)})
	damaged := configMapOf(t, current)
	damaged["data"] = map[string]string{payload.Key: "other"}
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"a node that is none", "error: there is no MirrorNode \"node-9\"\n", []string{"--server", url, "node-1", "node-9"}},
		{"a format that is none", "error: --output \"xml\": want one of table, wide, json, yaml, name\n", []string{"--server", url, "-o", "xml"}},
		{"a stream of JSON", "error: --output \"json\": --watch prints tables only\n", []string{"--server", url, "-o", "json", "-w"}},
		{"a cluster without Mirrorset", "error: the cluster does not serve mirrornodes.mirrorset.io; is Mirrorset installed there? ", []string{"--server", serve(t, nil)}},
		{"a cluster without Mirrorset, watched", "error: the cluster does not serve mirrornodes.mirrorset.io; is Mirrorset installed there? ", []string{"--server", serve(t, nil), "-w"}},
		{"a damaged ConfigMap", "error: ConfigMap mirrorset-system/containers-registries.conf: ", []string{"--server", serve(t, map[string]any{nodesPath: mixedFleet(), configMapPath: damaged})}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := runMain(t, "", append([]string{"nodes"}, tt.args...)...)
			if r.code != 1 || r.stdout != "" || !strings.HasPrefix(r.stderr, tt.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %q", r.code, r.stdout, r.stderr, tt.want)
			}
		})
	}
}

func TestANodeStandsWhereTheManagerSeesIt(t *testing.T) {
	p := &standing.Published{Revision: currentRevision, Digest: current.Digest}
	provisional := &standing.Published{Revision: currentRevision, Digest: current.Digest, Provisional: true}
	for _, tt := range []struct {
		name  string
		node  mirrorsetv1alpha1.MirrorNode
		p     *standing.Published
		where standing.Standing
		why   string
	}{
		{"all is in force", nodeAt("n", currentRevision), p, standing.InForce, ""},
		{"no report", nodeAt("n", 0, saysNothing), p, standing.Silent, "no agent has reported"},
		{"it failed with an older one", nodeAt("n", currentRevision-1, says("Applied", "False", "Failed", "disk full")), p, standing.Failing, "disk full"},
		{"it was marked as silent", nodeAt("n", currentRevision-1, says("Applied", "Unknown", "AgentSilent", "its agent has not followed")), p, standing.Silent, "its agent has not followed"},
		{"an older one", nodeAt("n", currentRevision-1), p, standing.Behind, ""},
		{"an older one, not all of it", nodeAt("n", currentRevision-1, says("Applied", "False", "NotInForce", "x")), p, standing.Behind, ""},
		{"an older one, before what may be a mistake", nodeAt("n", currentRevision-1), provisional, standing.Behind, "may prove a mistake"},
		{"a later one", nodeAt("n", currentRevision+1), p, standing.Ahead, "publishes again above it"},
		{"another content", nodeAt("n", currentRevision, func(n *mirrorsetv1alpha1.MirrorNode) { n.Status.Digest = "sha256:1" }), p, standing.Behind, "other content"},
		{"not all", nodeAt("n", currentRevision, says("Applied", "False", "NotInForce", "quay.io is foreign")), p, standing.Failing, "quay.io is foreign"},
		{"a doubt about the runtime", nodeAt("n", currentRevision, says("RuntimeReady", "Unknown", "NotReady", "unseen")), p, standing.InForce, "unseen"},
		{"nothing is published, and something in force", nodeAt("n", 5), nil, standing.InForce, ""},
		{"nothing is published, and nothing in force", nodeAt("n", 0, says("Applied", "False", "NotInForce", "nothing was published")), nil, standing.Failing, "nothing was published"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			where, why := standing.Of(&tt.node.Status, tt.p)
			if where != tt.where || !strings.Contains(why, tt.why) || (why == "") != (tt.why == "") {
				t.Errorf("%s, %q; want %s, %q", where, why, tt.where, tt.why)
			}
		})
	}
}

func TestTheSummaryCounts(t *testing.T) {
	for want, f := range map[string]fleet{
		"There is no node with an agent.":                                survey(nil, &current),
		"1 node has revision 1795573438818 in force.":                    survey(nodeList(nodeAt("a", currentRevision)).Items, &current),
		"0 of 1 node has revision 1795573438818 in force; 1 behind.":     survey(nodeList(nodeAt("a", 1)).Items, &current),
		"2 nodes have revision 1795573438818 in force.":                  survey(nodeList(nodeAt("a", currentRevision), nodeAt("b", currentRevision)).Items, &current),
		"Nothing is published that nodes could have in force; 1 silent.": survey(nodeList(nodeAt("a", 0, saysNothing)).Items, nil),
	} {
		if got := f.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAWatchPrintsEachChangeOnceAndEndsWhenAllAreThere(t *testing.T) {
	var stdout, stderr bytes.Buffer
	v := &nodesVerb{out: &stdout, stderr: &stderr}
	p := progress{verb: v, table: v.NewTable(&stdout, nodeColumns...), live: &output.LiveLine{Out: &stderr, Columns: func() int { return 100 }}, shown: make(map[string]fleetNode)}
	wide, narrow := nodeAt("node-with-a-long-name", currentRevision-1), nodeAt("node-2", currentRevision)
	step := func(want bool, pending string, nodes ...mirrorsetv1alpha1.MirrorNode) {
		t.Helper()
		done, err := p.update(survey(nodes, &current), pending)
		if err != nil || done != want {
			t.Errorf("done: %t, %v; want %t", done, err, want)
		}
	}
	step(false, "")
	step(false, "", nodeAt("node-with-a-long-name", currentRevision-2), narrow)
	step(false, "", wide, narrow)
	step(false, "", wide, narrow)
	step(false, "the manager", nodeAt("node-with-a-long-name", currentRevision), narrow)
	step(true, "", nodeAt("node-with-a-long-name", currentRevision), narrow)
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
	lines := output.EraseLine + "There is no node with an agent." + output.EraseLine + output.EraseLine + part + output.EraseLine + output.EraseLine + part +
		output.EraseLine + output.EraseLine + "Waiting: the manager. " + all + output.EraseLine + all + output.EraseLine + all + "\n"
	if stderr.String() != lines {
		t.Errorf("stderr %q, want %q", &stderr, lines)
	}
}

func TestTheShellIsOfferedTheNodesThatAreNotYetGiven(t *testing.T) {
	url := serve(t, map[string]any{nodesPath: mixedFleet()})
	r := runMain(t, "", "__complete", "nodes", "--server", url, "node-2", "")
	if want := "node-1\nnode-3\nnode-4\nnode-5\n:4\n"; r.stdout != want {
		t.Errorf("%q, want %q", r.stdout, want)
	}
}
