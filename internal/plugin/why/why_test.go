// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

func TestAPodThatWaitsForItsImageGetsCauseRemedyAndEvidence(t *testing.T) {
	objects := world(t, pod("ImagePullBackOff", `Back-off pulling image "`+image+`": ErrImagePull: denied`), failed(image), event("app", "BackOff", "Back-off", failedAt))
	r := ask(t, objects)
	const want = `Pod:        team/app-0 on node node-1 (containerd)
Container:  app
Image:      ghcr.io/example/app:v1
Status:     ImagePullBackOff

Cause:      BlockedTag: source "ghcr.io/example" is blocked by 30-airgap and has no mirror for tags, and the image reference has a tag, so nodes cannot pull it
Remedy:     Use a digest in the image reference of the Pod, or push the tag to a mirror and name that mirror in an ImageTagMirrorSet, for example:

            apiVersion: config.openshift.io/v1
            kind: ImageTagMirrorSet
            metadata:
              name: NAME
            spec:
              imageTagMirrors:
              - source: "ghcr.io/example"
                mirrors:
                - registry.site.example:5000/example
                mirrorSourcePolicy: NeverContactSource

SEEN                   BY      EVIDENCE
2026-11-29T18:00:50Z   event   Failed: Failed to pull image "ghcr.io/example/app:v1": denied: source ghcr.io/example is blocked by policy NeverContactSource
`
	if r.Code != 1 || r.Stdout != want || !strings.HasPrefix(r.Stderr, noPulls) || strings.Count(r.Stderr, "\n") != 1 {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s\nwant:\n%s", r.Code, r.Stderr, r.Stdout, want)
	}
	var got report
	if r := ask(t, objects, "-o", "json"); r.Code != 1 || r.Stderr != "" || json.Unmarshal([]byte(r.Stdout), &got) != nil {
		t.Fatalf("%+v", r)
	}
	if !got.Waits || got.Pod != "app-0" || got.Namespace != "team" || got.Node != "node-1" || got.Runtime != "containerd" || len(got.Unknown) != 1 || len(got.Containers) != 1 ||
		got.Containers[0].Findings[0].Cause != "BlockedTag" || !got.Containers[0].Evidence[0].At.Equal(failedAt) || !strings.HasSuffix(got.Docs, "/docs/how-to/image-pull-backoff.md") {
		t.Errorf("%+v", got)
	}
}

func TestWhatWaitsForSomethingElseIsNoVerdict(t *testing.T) {
	runs := func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	}
	ended := func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }
	unscheduled := func(p *corev1.Pod) {
		p.Spec.NodeName, p.Status.ContainerStatuses = "", nil
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available"}}
	}
	mount := event("", "FailedMount", `MountVolume.SetUp failed for volume "v"`, failedAt)
	pulling := event("app", "Pulling", `Pulling image "`+image+`"`, failedAt)
	for name, tt := range map[string]struct {
		objects map[string]any
		want    []string
	}{
		"all run":                {world(t, pod("", "", runs), failed(image)), []string{"No container of Pod team/app-0 waits"}},
		"the Pod has ended":      {world(t, pod("ImagePullBackOff", "", ended), failed(image)), []string{"No container of Pod team/app-0 waits"}},
		"it is on no node":       {world(t, pod("", "", unscheduled)), []string{"Pod:        team/app-0\n", "NotScheduled: the Pod is not scheduled to a node (0/3 nodes are available)"}},
		"a volume is missing":    {world(t, pod("ContainerCreating", ""), mount), []string{"NotTheImage: the container does not wait for its image (ContainerCreating, and the last warning is FailedMount: MountVolume"}},
		"an image is on its way": {world(t, pod("ContainerCreating", ""), pulling), []string{"Pulling: the image is being pulled since 2026-11-29T18:00:50Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := ask(t, tt.objects)
			for _, text := range tt.want {
				if r.Code != 0 || !strings.Contains(r.Stdout, text) || strings.Contains(text, "No container") && r.Stderr != "" {
					t.Errorf("exit code %d, %q is not in %s%s", r.Code, text, r.Stdout, r.Stderr)
				}
			}
		})
	}
}

func TestEachContainerHasItsOwnCause(t *testing.T) {
	p := pod("ImagePullBackOff", "", func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "other.example/x:1"}}
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "first", State: waits("ErrImageNeverPull", "")}}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "side", Image: image}, corev1.Container{Name: "late", Image: image})
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "side", State: waits("CrashLoopBackOff", "")})
		p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "UPPER"}}}
		p.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "debug", State: waits("InvalidImageName", "")}}
	})
	var got report
	r := ask(t, world(t, p, failed(image)), "-o", "json")
	if json.Unmarshal([]byte(r.Stdout), &got) != nil || r.Code != 1 {
		t.Fatalf("%+v", r)
	}
	said := ""
	for _, c := range got.Containers {
		said += fmt.Sprintf("%s %s %d\n", c.Name, c.Findings[0].Cause, len(c.Evidence))
	}
	if want := "first NeverPulled 0\napp BlockedTag 1\ndebug InvalidName 0\n"; said != want {
		t.Errorf("got:\n%s\nwant:\n%s", said, want)
	}
}

// What may not be read is named, and the rest is judged.
func TestWhatMayNotBeReadIsNamed(t *testing.T) {
	refused := http.HandlerFunc(plugintest.Refuse)
	all := func() map[string]any { return world(t, pod("ImagePullBackOff", ""), failed(image)) }
	for name, tt := range map[string]struct {
		changed map[string]any
		cause   string
		note    string
	}{
		"the events":                  {map[string]any{eventsPath: refused}, "BlockedTag", "the events of the Pod: "},
		"the sets":                    {map[string]any{plugintest.SetsPath: refused}, "BlockedTag", "the sets: "},
		"what is published":           {map[string]any{plugintest.ConfigMapPath: refused}, "BlockedTag", "the published rules: "},
		"neither":                     {map[string]any{plugintest.ConfigMapPath: refused, plugintest.SetsPath: refused}, "Undecided", "the published rules: "},
		"damage":                      {map[string]any{plugintest.ConfigMapPath: map[string]any{"kind": "ConfigMap", "apiVersion": "v1"}}, "BlockedTag", "the published rules: "},
		"the node":                    {map[string]any{nodePath: refused}, "BlockedTag", "the report of the node: "},
		"the agents":                  {map[string]any{agentsPath: refused}, "BlockedTag", "the pulls that node node-1 saw: you do not have the right to query its agent"},
		"a cluster without Mirrorset": {map[string]any{nodePath: nil, plugintest.NodesPath: nil, plugintest.SetsPath: nil, plugintest.TagSetsPath: nil, plugintest.ConfigMapPath: nil}, "Undecided", "the report of the node: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := ask(t, with(all(), tt.changed))
			if strings.Contains(r.Stdout, "is blocked and") {
				t.Errorf("it does not say by whom: %s", r.Stdout)
			}
			if r.Code != 1 || !strings.Contains(r.Stdout, "Cause:      "+tt.cause+": ") || !strings.Contains(r.Stderr, "note: unknown: "+tt.note) {
				t.Errorf("%+v", r)
			}
		})
	}
	if r := ask(t, with(all(), map[string]any{nodePath: nil})); r.Code != 1 || !strings.Contains(r.Stdout, "Cause:      NoAgent: Mirrorset does not serve node node-1") || r.Stderr != "" {
		t.Errorf("a node without an agent: %+v", r)
	}
}

func TestAPodThatIsGoneIsAnError(t *testing.T) {
	for name, tt := range map[string]struct {
		r    plugintest.Result
		want string
	}{
		"gone":             {ask(t, world(t, nil)), "error: there is no Pod \"app-0\" in namespace team; another Pod may have replaced it: kubectl -n team get pods\n"},
		"two":              {ask(t, world(t, nil), "app-1"), "error: name exactly one Pod; there are 2 arguments\n"},
		"a format":         {ask(t, world(t, nil), "-o", "xml"), "error: --output \"xml\": the value must be one of text, json, yaml\n"},
		"not to be read":   {ask(t, with(world(t, nil), map[string]any{podPath: http.HandlerFunc(plugintest.Refuse)})), "error: x \"x\" is forbidden: not you\n"},
		"a broken cluster": {ask(t, with(world(t, pod("ImagePullBackOff", "")), map[string]any{eventsPath: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })})), "error: "},
	} {
		if tt.r.Code != 2 || tt.r.Stdout != "" || !strings.HasPrefix(tt.r.Stderr, tt.want) {
			t.Errorf("%s: %+v", name, tt.r)
		}
	}
}

func TestWhatNodesAndEventsSayReachesTheTerminalAsText(t *testing.T) {
	r := ask(t, world(t, pod("ImagePullBackOff", "\x1b[31mred\x07"), event("app", "Failed", "Failed to pull image \""+image+"\": \x1b[2J", failedAt)))
	if strings.ContainsAny(r.Stdout+r.Stderr, "\x1b\x07") || !strings.Contains(r.Stdout, `\x1b[2J`) {
		t.Errorf("%q", r.Stdout)
	}
}

// Events of either API have a time, and the oldest comes first.
func TestEventsAreInTheOrderInWhichTheyWereToldLast(t *testing.T) {
	late, series, once := failed(image), event("app", "Failed", "Failed to pull image \"2\": x", time.Time{}), event("app", "Failed", "Failed to pull image \"1\": x", time.Time{})
	series.EventTime = metav1.MicroTime{Time: failedAt.Add(-time.Hour)}
	series.Series = &corev1.EventSeries{LastObservedTime: metav1.MicroTime{Time: failedAt.Add(-time.Second)}}
	once.EventTime = metav1.MicroTime{Time: failedAt.Add(-time.Minute)}
	foreign := failed(image)
	foreign.InvolvedObject.UID = "another"
	var got report
	if r := ask(t, world(t, pod("ImagePullBackOff", ""), late, foreign, series, once), "-o", "json"); json.Unmarshal([]byte(r.Stdout), &got) != nil {
		t.Fatal(r)
	}
	var times []string
	for _, e := range got.Containers[0].Evidence {
		times = append(times, e.At.Format(time.TimeOnly))
	}
	if want := []string{"17:59:50", "18:00:49", "18:00:50"}; !slices.Equal(times, want) {
		t.Errorf("%v, want %v", times, want)
	}
}

// A node's report decides where it tells more than the rules.
func TestTheNodesReportCounts(t *testing.T) {
	says := func(change func(*mirrorsetv1alpha1.MirrorNode)) map[string]any {
		objects := world(t, pod("ImagePullBackOff", "", func(p *corev1.Pod) {
			p.Spec.Containers[0].Image = "ghcr.io/example/app" + "@sha256:" + strings.Repeat("0", 64)
		}))
		node := objects[nodePath].(mirrorsetv1alpha1.MirrorNode)
		node.Status = *node.Status.DeepCopy()
		change(&node)
		return with(objects, map[string]any{nodePath: node})
	}
	since := metav1.Time{Time: failedAt}
	for name, tt := range map[string]struct {
		objects map[string]any
		want    []string
	}{
		"it reads nothing": {says(func(n *mirrorsetv1alpha1.MirrorNode) {
			plugintest.Says("Applied", metav1.ConditionFalse, "NotInForce", "not all")(n)
			plugintest.Says("RuntimeReady", metav1.ConditionFalse, "NotReady", "config_path is unset\nSet it.")(n)
		}), []string{"RuntimeNotReady: the runtime of node node-1 does not read the rules, so it contacts the source directly\n", "Remedy:     On the node: config_path is unset\n            Set it.\n"}},
		"the source is not in force": {says(func(n *mirrorsetv1alpha1.MirrorNode) {
			plugintest.Says("Applied", metav1.ConditionFalse, "NotInForce", "registry quay.io: odd\nregistry ghcr.io: a foreign folder")(n)
			n.Status.NotInForce = []string{"ghcr.io/example", "quay.io"}
		}), []string{"NotInForce: the rules of source \"ghcr.io/example\" are not in force on node node-1: registry ghcr.io: a foreign folder\n"}},
		"it is behind":        {says(func(n *mirrorsetv1alpha1.MirrorNode) { n.Status.Revision-- }), []string{"NodeLags: it is unknown if node node-1 has the published rules: it has revision 1795573438817\n", "Cause:      Undecided"}},
		"its agent is silent": {says(plugintest.Says("Applied", metav1.ConditionUnknown, "AgentSilent", "the agent is silent")), []string{"NodeLags: it is unknown if node node-1 has the published rules: the agent is silent\n"}},
		"a mirror is down": {says(func(n *mirrorsetv1alpha1.MirrorNode) {
			n.Status.MirrorFaults = []mirrorsetv1alpha1.MirrorFault{{Mirror: "registry.site.example:5000/example", State: mirrorsetv1alpha1.MirrorSilent, Since: &since, Message: "it does not answer within 10s"}}
		}), []string{"MirrorDown: node node-1 reports mirror registry.site.example:5000/example as Silent since 2026-11-29T18:00:50Z (it does not answer within 10s)"}},
		"it says something of the mirror": {says(plugintest.Says("RuntimeReady", metav1.ConditionTrue, "ReadyWithProblems", "mirror registry.site.example:5000 refuses the login\nsomething else")), []string{"node   RuntimeReady: mirror registry.site.example:5000 refuses the login\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := ask(t, tt.objects)
			for _, text := range tt.want {
				if r.Code != 1 || !strings.Contains(r.Stdout, text) {
					t.Errorf("%q is not in %s%s", text, r.Stdout, r.Stderr)
				}
			}
		})
	}
}

func TestAChangedLoginMayHaveMendedIt(t *testing.T) {
	const secret, authorities = "/api/v1/namespaces/mirrorset-system/secrets/mirror-credentials", "/api/v1/namespaces/mirrorset-system/configmaps/mirror-authorities"
	byDigest := "ghcr.io/example/app@sha256:" + strings.Repeat("0", 64)
	refused := `Failed to pull image "` + byDigest + `": denied: source ghcr.io/example is blocked by policy NeverContactSource of set 30-airgap; mirror registry.site.example:5000/example/app: registry.site.example:5000 answered 401 Unauthorized, and there is no login for it`
	objects := func(at time.Time) map[string]any {
		p := pod("ImagePullBackOff", "", func(p *corev1.Pod) { p.Spec.Containers[0].Image = byDigest })
		written := metav1.Time{Time: at}
		return with(world(t, p, event("app", "Failed", refused, failedAt)), map[string]any{
			authorities: metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Time{Time: failedAt.Add(-time.Hour)}}},
			secret:      metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Time{Time: failedAt.Add(-time.Hour)}, ManagedFields: []metav1.ManagedFieldsEntry{{Time: &written}}}},
		})
	}
	for want, r := range map[string]plugintest.Result{
		"Cause:      Mended: ":      ask(t, objects(failedAt.Add(time.Minute))),
		"Cause:      LoginWanted: ": ask(t, objects(failedAt.Add(-time.Minute))),
	} {
		if r.Code != 1 || !strings.Contains(r.Stdout, want) || strings.Contains(r.Stderr, "logins") {
			t.Errorf("%q: %+v", want, r)
		}
	}
	none := ask(t, with(objects(failedAt.Add(time.Minute)), map[string]any{secret: nil}))
	if !strings.Contains(none.Stdout, "Cause:      LoginWanted: ") || strings.Contains(none.Stderr, "logins") || !strings.Contains(none.Stdout, "See https://github.com/mirrorset/mirrorset/blob/main/docs/how-to/private-mirror.md") {
		t.Errorf("no Secret: %+v", none)
	}
	r := ask(t, with(objects(failedAt.Add(time.Minute)), map[string]any{secret: http.HandlerFunc(plugintest.Refuse)}))
	if r.Code != 1 || !strings.Contains(r.Stdout, "Cause:      LoginWanted: ") || !strings.Contains(r.Stderr, "note: unknown: the times of the last changes to the logins and authorities for mirrors: ") {
		t.Errorf("%+v", r)
	}
}

func TestTheShellIsOfferedThePodsOfTheNamespace(t *testing.T) {
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{*pod("", "")}}
	url := plugintest.Serve(t, map[string]any{"/api/v1/namespaces/team/pods": list})
	for _, tt := range []struct{ want, given string }{{"app-0\n:4\n", ""}, {":4\n", "app-0"}} {
		args := []string{"__complete", "why", "-n", "team", "--server", url}
		if tt.given != "" {
			args = append(args, tt.given)
		}
		if r := plugintest.Run(t, plugintest.Program(Command()), "", append(args, "")...); r.Stdout != tt.want {
			t.Errorf("%q, want %q", r.Stdout, tt.want)
		}
	}
}

func TestThePageHasARowForEachCause(t *testing.T) {
	text, err := os.ReadFile("../../../docs/how-to/image-pull-backoff.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, row[1])
	}
	var causes []string
	for _, cause := range diagnosis.Causes() {
		causes = append(causes, string(cause))
	}
	slices.Sort(rows)
	slices.Sort(causes)
	if !slices.Equal(rows, causes) {
		t.Errorf("rows %v, causes %v", rows, causes)
	}
}
