// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// podNamed is one that names images.
func podNamed(namespace, name string, images ...string) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	for _, image := range images {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Image: image})
	}
	return pod
}

// nodeOf is one of a platform, as in linux/amd64, with a runtime.
func nodeOf(platform, runtime string) corev1.Node {
	os, architecture, _ := strings.Cut(platform, "/")
	return corev1.Node{Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OperatingSystem: os, Architecture: architecture, ContainerRuntimeVersion: runtime + "://1.2.3"}}}
}

// served is a cluster with these Pods, and with these Nodes, or one for amd64.
func served(t *testing.T, pods []corev1.Pod, nodes ...corev1.Node) map[string]any {
	t.Helper()
	if len(nodes) == 0 {
		nodes = []corev1.Node{nodeOf("linux/amd64", "containerd")}
	}
	return map[string]any{
		"/api/v1/pods":         corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: pods},
		"/api/v1/nodes":        corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}, Items: nodes},
		plugintest.SetsPath:    plugintest.SetList(),
		plugintest.TagSetsPath: plugintest.TagSetList(),
	}
}

// answer is what check prints for programs.
type answer struct {
	FromMirror, FromSource, FromNowhere int
	Images                              []checkedImage
}

func (a answer) of(t *testing.T, image string) *checkedImage {
	t.Helper()
	at := slices.IndexFunc(a.Images, func(i checkedImage) bool { return i.Image == image })
	if at < 0 {
		t.Fatalf("%s is not in %+v", image, a)
	}
	return &a.Images[at]
}

func runJSON(t *testing.T, stdin string, args ...string) (got answer, r plugintest.Result) {
	t.Helper()
	r = run(t, stdin, append([]string{"check", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
		t.Fatalf("%v; exit code %d, stderr %q", err, r.Code, r.Stderr)
	}
	return got, r
}

// A Pod that runs may not start again: a kubelet asks for what its spec names, and not for what runs.
func TestPodsAreJudgedByWhatTheirSpecsName(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	digest := m.Push(t, "q/app")
	pod := podNamed("shop", "web-0", "quay.io/app:v1")
	pod.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Image: "quay.io/app:v1", ImageID: "quay.io/app@" + digest}}}
	url := plugintest.Serve(t, served(t, []corev1.Pod{pod}))
	manifest := plugintest.Never("a", "quay.io", m.Host+"/q")
	r := run(t, manifest, "check", "-f", "-", "--pods", "--server", url, "--insecure-registry", m.Host)
	want := "IMAGE|PODS|PULL SOURCE|RESULT|MESSAGE\nquay.io/app:v1|shop/web-0|<none>|Refused|source \"quay.io\" is blocked by a, and no set names a mirror for its tags\n"
	if got := columns(r.Stdout); got != want || r.Code != 1 || !strings.HasSuffix(r.Stderr, "\n0 of 1 image comes from a mirror, 0 from the source, 1 from nowhere.\n") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s\nwant:\n%s", r.Code, r.Stderr, got, want)
	}
	manifest = plugintest.Documents(manifest, plugintest.TagSet("b", "quay.io", m.Host+"/q"))
	if got, r := runJSON(t, manifest, "-f", "-", "--pods", "--server", url, "--insecure-registry", m.Host); got.of(t, "quay.io/app:v1").summary() != "Missing => Nowhere" || r.Code != 1 {
		t.Errorf("a tag that the mirror has not: exit code %d:\n%s", r.Code, r.Stdout)
	}
}

func TestAllImagesOfASpecAreJudged(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	there := m.Push(t, "q/app")
	missing := "quay.io/app@sha256:" + strings.Repeat("f", 64)
	for name, spec := range map[string]corev1.PodSpec{
		"container": {Containers: []corev1.Container{{Image: "quay.io/app@" + there}, {Image: missing}}},
		"init":      {InitContainers: []corev1.Container{{Image: missing}}, Containers: []corev1.Container{{Image: "quay.io/app@" + there}}},
		"ephemeral": {Containers: []corev1.Container{{Image: "quay.io/app@" + there}}, EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Image: missing}}}},
		"volume":    {Containers: []corev1.Container{{Image: "quay.io/app@" + there}}, Volumes: []corev1.Volume{{Name: "none"}, {VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: missing}}}}},
	} {
		for _, phase := range []corev1.PodPhase{corev1.PodPending, corev1.PodRunning} {
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: spec, Status: corev1.PodStatus{Phase: phase}}
			got, r := runJSON(t, plugintest.Never("a", "quay.io", m.Host+"/q"), "-f", "-", "--pods", "--server", plugintest.Serve(t, served(t, []corev1.Pod{pod})), "--insecure-registry", m.Host)
			bad := got.of(t, missing)
			if r.Code != 1 || got.FromMirror != 1 || bad.summary() != "Missing => Nowhere" || !slices.Equal(bad.Pods, []string{"shop/" + name}) {
				t.Errorf("%s, %s: exit code %d:\n%s", name, phase, r.Code, r.Stdout)
			}
		}
	}
}

func TestManyPodsOfOneImageAreCounted(t *testing.T) {
	plugintest.Isolate(t)
	var pods []corev1.Pod
	for i := range 30 {
		pods = append(pods, podNamed("shop", fmt.Sprintf("web-%02d", 29-i), "quay.io/app:v1", "quay.io/app:v1"))
	}
	url := plugintest.Serve(t, served(t, pods))
	r := run(t, plugintest.Set("a", "s.com", "m.local"), "check", "-f", "-", "--pods", "--server", url)
	if !strings.Contains(columns(r.Stdout), "quay.io/app:v1|shop/web-00, shop/web-01 and 28 more|quay.io/app:v1|NotAsked\n") {
		t.Errorf("stdout:\n%s", r.Stdout)
	}
	r = run(t, plugintest.Set("a", "s.com", "m.local"), "check", "-f", "-", "--pods", "--server", url, "-o", "wide")
	if !strings.Contains(r.Stdout, "shop/web-08, shop/web-09 and 20 more") {
		t.Errorf("stdout:\n%s", r.Stdout)
	}
	if got, _ := runJSON(t, plugintest.Set("a", "s.com", "m.local"), "-f", "-", "--pods", "--server", url); len(got.Images[0].Pods) != 30 {
		t.Errorf("%d Pods", len(got.Images[0].Pods))
	}
}

func TestWhatIsNoImageInAPodIsNotPassedOver(t *testing.T) {
	url := plugintest.Serve(t, served(t, []corev1.Pod{podNamed("shop", "web", "UPPER"), podNamed("shop", "api", "docker://quay.io/app:v1")}))
	got, r := runJSON(t, plugintest.Set("a", "s.com", "m.local"), "-f", "-", "--pods", "--server", url)
	if r.Code != 1 || got.FromNowhere != 2 || !strings.HasPrefix(got.of(t, "UPPER").Message, `image "UPPER": `) {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stdout)
	}
	table := run(t, plugintest.Set("a", "s.com", "m.local"), "check", "-f", "-", "--pods", "--server", url)
	if !strings.Contains(columns(table.Stdout), `UPPER|shop/web|<none>|Invalid|image "UPPER": `) {
		t.Errorf("stdout:\n%s", table.Stdout)
	}
}

// The sets of -f replace those of the cluster with the same kind and name, and the others stay.
func TestWhatIfAddsSetsToThoseOfTheCluster(t *testing.T) {
	plugintest.Isolate(t)
	m := plugintest.NewMirror(t)
	m.Push(t, "q/app")
	set := func(name, source, mirror string) configv1.ImageDigestMirrorSet {
		s := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: name}}
		s.Spec.ImageDigestMirrors = []configv1.ImageDigestMirrors{{Source: source, Mirrors: []configv1.ImageMirror{configv1.ImageMirror(mirror)}}}
		return s
	}
	tags := configv1.ImageTagMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "site"}}
	tags.Spec.ImageTagMirrors = []configv1.ImageTagMirrors{{Source: "quay.io", Mirrors: []configv1.ImageMirror{configv1.ImageMirror(m.Host + "/q")}}}
	objects := served(t, []corev1.Pod{podNamed("shop", "web", "quay.io/app"), podNamed("shop", "api", "ghcr.io/app:v1")})
	objects[plugintest.SetsPath] = plugintest.SetList(set("site", "quay.io", "m.local/q"), set("other", "ghcr.io", "m.local/g"))
	objects[plugintest.TagSetsPath] = plugintest.TagSetList(tags)
	url := plugintest.Serve(t, objects)
	for _, tt := range []struct {
		name, manifest string
		web, api       string // before and after
		code           int
	}{
		{"nothing changes", plugintest.Set("site", "quay.io", "m.local/q2"), "Mirror Mirror", "Source Source", 1},
		{"a set of the same kind and name is replaced", plugintest.TagSet("site", "quay.io", "127.0.0.1:1/q"), "Mirror Source", "Source Source", 1},
		{"a set of another kind blocks, and tags have a mirror", plugintest.Never("site", "quay.io", "m.local/q"), "Mirror Mirror", "Source Source", 1},
		{"a new set blocks what has no mirror for tags", plugintest.Never("new", "ghcr.io", "m.local/g"), "Mirror Mirror", "Source Nowhere", 1},
		{"a new set brings a mirror for the other", plugintest.TagSet("new", "ghcr.io", m.Host+"/q") + "    mirrorSourcePolicy: NeverContactSource\n", "Mirror Mirror", "Source Mirror", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.code == 0 {
				objects["/api/v1/pods"] = corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{podNamed("shop", "web", "quay.io/app"), podNamed("shop", "api", "ghcr.io/app")}}
			}
			m.Asked.Store(0)
			got, r := runJSON(t, tt.manifest, "--what-if", "-f", "-", "--pods", "--server", url, "--insecure-registry", m.Host)
			said := func(i *checkedImage) string { return string(i.Before) + " " + string(i.From) }
			web, api := got.of(t, "quay.io/app:latest"), &got.Images[0]
			if said(web) != tt.web || said(api) != tt.api || r.Code != tt.code {
				t.Errorf("web %q, api %q, exit code %d; want %q, %q, %d; stderr %q", said(web), said(api), r.Code, tt.web, tt.api, tt.code, r.Stderr)
			}
			if m.Asked.Load() != 1 {
				t.Errorf("the mirror was asked %d times for one place, before and after", m.Asked.Load())
			}
		})
	}
	r := run(t, plugintest.Never("new", "quay.io", "m.local/q"), "check", "--what-if", "-f", "-", "--server", url, "--insecure-registry", m.Host, "quay.io/app@sha256:"+strings.Repeat("f", 64), "--registry-timeout=200ms")
	if r.Code != 1 || !strings.Contains(r.Stderr, "\nchanged: quay.io/app@sha256:"+strings.Repeat("f", 64)+" would come from nowhere with these sets; without them it comes from the source\n") {
		t.Errorf("exit code %d, stderr %q", r.Code, r.Stderr)
	}
}
