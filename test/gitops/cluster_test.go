// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/mirrorset/mirrorset/test/controlplane"
)

const root = "../.."

// cluster is a real API server, with Mirrorset's programs as they were built.
type cluster struct {
	plane   *controlplane.ControlPlane
	objects dynamic.Interface
	typed   kubernetes.Interface
	checks  map[string]string // of Argo CD, by kind
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	path, err := filepath.Abs(root)
	must(t, err)
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Setenv("KUBEBUILDER_ASSETS", filepath.Join(path, "bin/k8s"))
	}
	plane, err := controlplane.Start(path)
	must(t, err)
	t.Cleanup(func() { _ = plane.Stop() })
	must(t, plane.InstallAll(t.Context()))
	c := &cluster{plane: plane}
	c.objects, err = dynamic.NewForConfig(plane.Config)
	must(t, err)
	c.typed, err = kubernetes.NewForConfig(plane.Config)
	must(t, err)
	c.patchArgo(t)
	return c
}

var patchCommand = regexp.MustCompile(`(?m)^kubectl (-n argocd patch configmap .*)$`)

// patchArgo has Argo CD's settings, with one of somebody's, patched by the command of docs/how-to/gitops.md.
func (c *cluster) patchArgo(t *testing.T) {
	t.Helper()
	_, err := c.typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "argocd"}}, metav1.CreateOptions{})
	must(t, err)
	settings := c.typed.CoreV1().ConfigMaps("argocd")
	_, err = settings.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "argocd-cm"}, Data: map[string]string{"url": "https://argocd.example"}}, metav1.CreateOptions{})
	must(t, err)
	document, err := os.ReadFile(root + "/docs/how-to/gitops.md")
	must(t, err)
	command := patchCommand.FindStringSubmatch(string(document))
	if command == nil {
		t.Fatal("docs/how-to/gitops.md does not say how to patch Argo CD's settings")
	}
	out, err := c.kubectl(t, strings.Fields(command[1])...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	patched, err := settings.Get(t.Context(), "argocd-cm", metav1.GetOptions{})
	must(t, err)
	if patched.Data["url"] == "" {
		t.Error("what else was in Argo CD's settings is gone")
	}
	c.checks = map[string]string{}
	for key, script := range patched.Data {
		if kind, ok := strings.CutPrefix(key, "resource.customizations.health.config.openshift.io_"); ok {
			c.checks[kind] = script
		}
	}
	if len(c.checks) != 2 {
		t.Fatalf("there are checks for %v", c.checks)
	}
}

func (c *cluster) kubectl(t *testing.T, args ...string) *exec.Cmd {
	cmd := c.plane.Kubectl(t.Context(), args...)
	cmd.Dir = root
	return cmd
}

func (c *cluster) startManager(t *testing.T) (stop func()) {
	t.Helper()
	p, err := c.plane.StartManager(t.Context(), "--leader-elect=false")
	must(t, err)
	t.Cleanup(p.Kill)
	return p.Kill
}

// node is a host.
type node struct{ name, root string }

func (c *cluster) node(t *testing.T, name string) node {
	t.Helper()
	object := &corev1.Node{ObjectMeta: linux}
	object.Name = name
	made, err := c.typed.CoreV1().Nodes().Create(t.Context(), object, metav1.CreateOptions{})
	must(t, err)
	made.Status.NodeInfo.ContainerRuntimeVersion = "cri-o://1.34.0"
	_, err = c.typed.CoreV1().Nodes().UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	must(t, err)
	n := node{name, t.TempDir()}
	n.put(t, "etc/crio/crio.conf.d/10-reload.conf", "[crio.image]\nauto_reload_registries = true\n")
	return n
}

func (c *cluster) startAgent(t *testing.T, n node) {
	t.Helper()
	p, err := c.plane.StartAgent(t.Context(), n.root, n.name)
	must(t, err)
	t.Cleanup(p.Kill)
}

// seer makes a node that says it cannot pull from a mirror, until the returned function takes it away.
func (c *cluster) seer(t *testing.T, name, mirror string) (gone func()) {
	t.Helper()
	c.node(t, name)
	status := fmt.Sprintf(`{"status":{"seesPulls":true,"mirrorFaults":[{"mirror":%q,"state":"Silent","since":"2026-01-02T03:04:05Z"}],
		"conditions":[{"type":"Applied","status":"True","reason":"InForce","message":"","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`, mirror)
	nodes := c.objects.Resource(schema.GroupVersionResource{Group: "mirrorset.io", Version: "v1alpha1", Resource: "mirrornodes"})
	var err error
	for range 1000 { // until the manager has made it
		if _, err = nodes.Patch(t.Context(), name, types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status"); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	must(t, err)
	return func() { must(t, c.typed.CoreV1().Nodes().Delete(t.Context(), name, metav1.DeleteOptions{})) }
}

// file is one of a host.
type file string

func (n node) put(t *testing.T, name, content string) file {
	t.Helper()
	path := filepath.Join(n.root, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
	return file(path)
}

func (f file) remove(t *testing.T) {
	t.Helper()
	must(t, os.Remove(string(f)))
}

func (c *cluster) sets(kind string) dynamic.ResourceInterface {
	return c.objects.Resource(schema.GroupVersionResource{Group: "config.openshift.io", Version: "v1", Resource: strings.ToLower(kind) + "s"})
}

// apply applies a set with one entry.
func (c *cluster) apply(t *testing.T, kind, name, source, mirror string) {
	t.Helper()
	field := map[string]string{"ImageDigestMirrorSet": "imageDigestMirrors", "ImageTagMirrorSet": "imageTagMirrors"}[kind]
	manifest := fmt.Sprintf("apiVersion: config.openshift.io/v1\nkind: %s\nmetadata: {name: %s}\nspec: {%s: [{source: %s, mirrors: [%s]}]}\n", kind, name, field, source, mirror)
	cmd := c.kubectl(t, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// finalize keeps a set from going when it is deleted.
func (c *cluster) finalize(t *testing.T, kind, name string) {
	t.Helper()
	patch := func(finalizers string) error {
		_, err := c.sets(kind).Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":`+finalizers+`}}`), metav1.PatchOptions{})
		return err
	}
	must(t, patch(`["example.com/keep"]`))
}

func (c *cluster) delete(t *testing.T, kind, name string) {
	t.Helper()
	must(t, c.sets(kind).Delete(t.Context(), name, metav1.DeleteOptions{}))
}

// want waits until both say this of a set, and one of them says why.
func (c *cluster) want(t *testing.T, kind, name string, want verdict, why string) {
	t.Helper()
	var set *unstructured.Unstructured
	var got verdict
	var messages string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		set, err = c.sets(kind).Get(t.Context(), name, metav1.GetOptions{})
		must(t, err)
		if got, messages, err = c.judge(set); err != nil {
			t.Fatal(err)
		}
		if got == want && strings.Contains(messages, why) {
			t.Logf("%s: kstatus says %s, Argo CD %s: %s", name, got.kstatus, got.argo, strings.ReplaceAll(messages, "\n", "; "))
			return
		}
	}
	t.Fatalf("%s: kstatus says %s, Argo CD %s: %s\nwant %s, %s: %s\n%v", name, got.kstatus, got.argo, messages, want.kstatus, want.argo, why, set.Object["status"])
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
