// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package pulls

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/accesslog"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

var since = time.Date(2026, 11, 29, 18, 0, 0, 0, time.UTC)

// printed is what an agent prints of pulls.
func printed(t *testing.T, pulls ...accesslog.Pull) string {
	t.Helper()
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	if err := encoder.Encode(accesslog.Head{Since: since}); err != nil {
		t.Fatal(err)
	}
	for i := range pulls {
		if err := encoder.Encode(pulls[i]); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// at is a pull that began so many minutes after its agent.
func at(minute int, image string, tries ...accesslog.Tries) accesslog.Pull {
	began := since.Add(time.Duration(minute) * time.Minute)
	return accesslog.Pull{ID: uint64(minute), Began: began, Last: began, Image: image, Tries: tries}
}

func refused(p accesslog.Pull, why, by string) accesslog.Pull {
	p.Refusal, p.RefusedBy = why, by
	return p
}

func watched(p accesslog.Pull, by string) accesslog.Pull {
	p.WouldRefuse = by
	return p
}

// seen are pulls of each kind.
var seen = []accesslog.Pull{
	at(1, "quay.io/shop/web:v1",
		accesslog.Tries{Place: "m1.example/shop/web", Outcome: accesslog.Silent, Requests: 1, Why: "no answer within 10s", Took: 10 * time.Second},
		accesslog.Tries{Place: "m2.example/shop/web", Outcome: accesslog.WrongContent, Requests: 1, Took: time.Millisecond},
		accesslog.Tries{Place: "m3.example/shop/web", Outcome: accesslog.Served, Requests: 4, Bytes: 1234567, Took: 250 * time.Millisecond}),
	watched(at(2, "quay.io/shop/api:v1",
		accesslog.Tries{Place: "m1.example/shop/api", Outcome: accesslog.CameBack, Requests: 1, Why: "it answered 401 Unauthorized to the redirector, and containerd came back"},
		accesslog.Tries{Place: "quay.io/shop/api", Source: true, Outcome: accesslog.Sent, Requests: 1}), "10-shadow"),
	refused(at(3, "quay.io/other/x:v1",
		accesslog.Tries{Place: "m1.example/other/x", Outcome: accesslog.Missing, Requests: 1, Why: "404\x1b[2J\u202etxt", Took: time.Millisecond},
		accesslog.Tries{Place: "quay.io/other/x", Source: true, Outcome: accesslog.Refused, Requests: 1}), "source quay.io is blocked", "30-airgap"),
}

// fixture is a cluster with three agents. What each prints is up to the test.
type fixture struct {
	objects map[string]any
}

func newFixture(t *testing.T, prints map[string]string) *fixture {
	t.Helper()
	f := &fixture{objects: map[string]any{}}
	var pods []corev1.Pod
	for _, node := range []string{"node-1", "node-2", "node-3"} {
		text, has := prints[node]
		if !has {
			continue
		}
		pods = append(pods, plugintest.AgentPod("agent-of-"+node, node))
		f.objects["/api/v1/nodes/"+node] = corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: node}}
		f.objects[plugintest.ExecPath("agent-of-"+node)] = plugintest.Exec(t, func(_ context.Context, _ []string, stdout, stderr io.Writer) int {
			switch text {
			case "CRI-O":
				fmt.Fprintln(stderr, "the agent does not see the pulls of this node: the kubelet uses CRI-O")
				return 3
			case "older":
				fmt.Fprintln(stderr, `unexpected argument "pulls"`)
				return 1
			}
			fmt.Fprint(stdout, text)
			return 0
		})
	}
	f.objects[plugintest.AgentPodsPath] = plugintest.PodsOnNodes(t, pods...)
	return f
}

// pod adds one to namespace shop.
func (f *fixture) pod(name, node string, created time.Time, images ...string) *fixture {
	pod := corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", CreationTimestamp: metav1.NewTime(created)}}
	pod.Spec.NodeName = node
	for _, image := range images {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Image: image})
	}
	f.objects["/api/v1/namespaces/shop/pods/"+name] = pod
	return f
}

func (f *fixture) run(t *testing.T, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(Command()), "", append([]string{"pulls", "--server", plugintest.Serve(t, f.objects)}, args...)...)
}

const whole = `TIME                   IMAGE                 SERVED BY             PASSED OVER                                                       BYTES     MS      REFUSED BY
2026-11-29T18:01:00Z   quay.io/shop/web:v1   m3.example/shop/web   m1.example/shop/web: silent, m2.example/shop/web: wrong content   1234567   10251   <none>
2026-11-29T18:02:00Z   quay.io/shop/api:v1   the source (sent)     m1.example/shop/api: came back                                    0         0       <none>
2026-11-29T18:03:00Z   quay.io/other/x:v1    <none>                m1.example/other/x: missing                                       0         1       30-airgap
`

func TestTheLastPullsOfANodeAreListed(t *testing.T) {
	f := newFixture(t, map[string]string{"node-1": printed(t, seen...), "node-2": printed(t)})
	const known = " on node node-1 since 2026-11-29T18:00:00Z, when its agent started.\n"
	f.run(t, "node-1").Want(t, 0, whole, "3 pulls"+known)
	f.run(t, "node/node-1").Want(t, 0, whole, "3 pulls"+known)
	f.run(t, "node-1", "--no-headers").Want(t, 0, whole[strings.Index(whole, "\n")+1:], "3 pulls"+known)
	f.run(t, "node-2").Want(t, 0, "", "No pull on node node-2 since 2026-11-29T18:00:00Z, when its agent started.\n")
	wide := f.run(t, "node-1", "-o", "wide").MustSucceed(t).Stdout
	for _, want := range []string{"WOULD BE REFUSED BY", "10-shadow", "m1.example/shop/web: no answer within 10s", `m1.example/other/x: 404\x1b[2J\u202etxt, source quay.io is blocked`} {
		if !strings.Contains(wide, want) {
			t.Errorf("%q is not in %s", want, wide)
		}
	}
	var got report
	r := f.run(t, "node-1", "-o", "json").MustSucceed(t)
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || len(got.Nodes) != 1 || !got.Nodes[0].Since.Equal(since) || len(got.Nodes[0].Pulls) != 3 || got.Nodes[0].Pulls[0].Tries[2].Bytes != 1234567 || r.Stderr != "" {
		t.Errorf("%v: %+v, stderr %q", err, got, r.Stderr)
	}
	f.run(t, "node-2", "-o", "yaml").Want(t, 0, "nodes:\n- name: node-2\n  pulls: []\n  since: \"2026-11-29T18:00:00Z\"\n", "")
}

func TestALogThatIsFullIsSaidToForget(t *testing.T) {
	var many []accesslog.Pull
	for i := range kept {
		many = append(many, at(i+1, "quay.io/shop/web:v1"))
	}
	want := "512 pulls on node node-1 since 2026-11-29T18:00:00Z, when its agent started. An agent keeps only the last 512 pulls.\n"
	if r := newFixture(t, map[string]string{"node-1": printed(t, many...)}).run(t, "node-1"); r.Stderr != want {
		t.Errorf("%q", r.Stderr)
	}
}

func TestThePullsOfAPodAreThoseOfItsImagesOnItsNode(t *testing.T) {
	f := newFixture(t, map[string]string{"node-1": printed(t, seen...), "node-2": printed(t, seen...)}).
		pod("web", "node-2", since.Add(time.Minute), "quay.io/shop/web:v1").pod("old", "node-2", since.Add(-time.Minute), "quay.io/shop/none:v1").pod("waits", "", since)
	const row = `TIME                   IMAGE                 SERVED BY             PASSED OVER                                                       BYTES     MS      REFUSED BY
2026-11-29T18:01:00Z   quay.io/shop/web:v1   m3.example/shop/web   m1.example/shop/web: silent, m2.example/shop/web: wrong content   1234567   10251   <none>
`
	const known = " on node node-2 since 2026-11-29T18:00:00Z, when its agent started."
	f.run(t, "-n", "shop", "web").Want(t, 0, row, "1 pull of the images of Pod shop/web"+known+"\n")
	f.run(t, "-n", "shop", "pod/web").Want(t, 0, row, "1 pull of the images of Pod shop/web"+known+"\n")
	f.run(t, "-n", "shop", "old").Want(t, 0, "", "No pull of the images of Pod shop/old"+known+" The Pod is older; pulls for it before that time are not known. A node does not pull an image that it already has.\n")
	f.run(t, "-n", "shop", "waits").WantError(t, "the Pod shop/waits is not on a node yet")
	f.run(t, "-n", "shop", "nobody").WantError(t, `there is no node "nobody", and there is no Pod "nobody" in namespace shop; name another namespace with -n`)
	f.run(t, "web").WantError(t, `there is no Pod "web" in namespace default`)
	f.run(t, "deployment/web").WantError(t, `"deployment/web": write NAME, node/NAME or pod/NAME`)
	f.run(t, "pod/").WantError(t, `"pod/": write NAME, node/NAME or pod/NAME`)
	f.objects["/api/v1/nodes/web"] = http.HandlerFunc(plugintest.Refuse)
	f.run(t, "-n", "shop", "web").Want(t, 0, row, "1 pull of the images of Pod shop/web"+known+"\n")
	f.objects["/api/v1/nodes/nobody"] = http.HandlerFunc(plugintest.Refuse)
	f.run(t, "-n", "shop", "nobody").WantError(t, "you do not have the right to look up a node of this name; if it is a node, write node/nobody")
}

func TestThePullsOfAllNodesAreInOneOrderAndWhoDoesNotTellIsNamed(t *testing.T) {
	web, api := at(2, "quay.io/shop/web:v1"), at(1, "quay.io/shop/api:v1")
	const rows = `TIME                   NODE     IMAGE                 SERVED BY   PASSED OVER   BYTES   MS    REFUSED BY
2026-11-29T18:01:00Z   node-2   quay.io/shop/api:v1   <none>      <none>        0       0     <none>
2026-11-29T18:02:00Z   node-1   quay.io/shop/web:v1   <none>      <none>        0       0     <none>
`
	const unseen = "note: node node-3: its pulls cannot be seen: the agent does not see the pulls of this node: the kubelet uses CRI-O\n"
	f := newFixture(t, map[string]string{"node-1": printed(t, web), "node-2": printed(t, api), "node-3": "CRI-O"})
	f.run(t).Want(t, 0, rows, unseen+"2 pulls on 3 nodes; pulls before 2026-11-29T18:00:00Z are not known for all of them.\n")
	f.run(t, "node-3").WantError(t, "node node-3: its pulls cannot be seen: the agent does not see the pulls of this node: the kubelet uses CRI-O")

	f = newFixture(t, map[string]string{"node-1": printed(t, web), "node-2": "older", "node-3": "CRI-O"})
	r := f.run(t)
	if r.Code != 1 || strings.Count(r.Stdout, "\n") != 2 || !strings.HasPrefix(r.Stderr, "warning: node node-2: its agent is older than this plugin") || !strings.Contains(r.Stderr, unseen) {
		t.Errorf("exit code %d, stdout %q, stderr %q", r.Code, r.Stdout, r.Stderr)
	}
	var got report
	if r := f.run(t, "-o", "json"); r.Code != 1 || json.Unmarshal([]byte(r.Stdout), &got) != nil || len(got.Nodes) != 3 || !strings.HasPrefix(got.Nodes[1].Error, "its agent is older") || got.Nodes[1].Since != nil || got.Nodes[1].Pulls == nil {
		t.Errorf("exit code %d, %+v", r.Code, got)
	}
	newFixture(t, nil).run(t).WantError(t, "namespace mirrorset-system has no agent Pods")
	f = newFixture(t, nil)
	f.objects["/api/v1/namespaces/elsewhere/pods"] = plugintest.PodsOnNodes(t)
	f.run(t, "--mirrorset-namespace=elsewhere").WantError(t, "namespace elsewhere has no agent Pods")
	newFixture(t, nil).run(t, "--watch", "-o", "json").WantError(t, `--output "json": --watch prints tables only`)
}

func TestANodeWhoseRuntimeGoesPastTheRedirectorIsWarnedOf(t *testing.T) {
	f := newFixture(t, map[string]string{"node-1": printed(t)})
	no := false
	past := plugintest.NodeAt("node-1", 1, plugintest.Says("RuntimeReady", metav1.ConditionFalse, "ContainerdConfigMissing", "/etc/containerd/config.toml is not there"), func(n *mirrorsetv1alpha1.MirrorNode) { n.Status.SeesPulls = &no })
	f.objects[plugintest.NodesPath] = plugintest.NodeList(past)
	want := "warning: node node-1: pulls bypass the redirector, so they are not listed: /etc/containerd/config.toml is not there\n"
	if r := f.run(t, "node-1"); r.Code != 0 || !strings.HasPrefix(r.Stderr, want) {
		t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
	}
}

func TestTheShellIsOfferedNodesAndPods(t *testing.T) {
	f := newFixture(t, nil)
	f.objects[plugintest.NodesPath] = plugintest.NodeList(plugintest.NodeAt("node-1", 1))
	f.objects["/api/v1/namespaces/shop/pods"] = corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "web"}}}}
	url := plugintest.Serve(t, f.objects)
	for want, args := range map[string][]string{
		"node-1\nweb\n:4\n": {"--server", url, "-n", "shop", ""},
		":4\n":              {"--server", url, "-n", "shop", "web", ""},
	} {
		if r := plugintest.Run(t, plugintest.Program(Command()), "", append([]string{"__complete", "pulls"}, args...)...); r.Stdout != want {
			t.Errorf("%q: %q", args, r.Stdout)
		}
	}
}
