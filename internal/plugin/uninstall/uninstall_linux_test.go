// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package uninstall_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/plugin/uninstall"
)

const (
	managerPath = "/apis/apps/v1/namespaces/mirrorset-system/deployments/mirrorset-manager"
	agentsPath  = "/apis/apps/v1/namespaces/mirrorset-system/daemonsets/mirrorset-agent"
	crdsPath    = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
)

// list is one of objects with these names and labels.
func list(kind string, labels map[string]string, names ...string) map[string]any {
	items := make([]any, 0, len(names))
	for _, name := range names {
		items = append(items, map[string]any{"kind": kind, "metadata": map[string]any{"name": name, "labels": labels}})
	}
	return map[string]any{"kind": kind + "List", "items": items}
}

// installed is a cluster with Mirrorset, and the requests that would change it.
func installed(t *testing.T) (objects map[string]any, url string, changes *[]string) {
	t.Helper()
	set := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	rbac, admission := "/apis/rbac.authorization.k8s.io/v1/", "/apis/admissionregistration.k8s.io/v1/"
	ours := map[string]string{"app.kubernetes.io/part-of": "mirrorset"}
	objects = map[string]any{
		managerPath:                  appsv1.Deployment{TypeMeta: metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"}},
		agentsPath:                   appsv1.DaemonSet{TypeMeta: metav1.TypeMeta{Kind: "DaemonSet", APIVersion: "apps/v1"}, Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 3}},
		crdsPath:                     list("CustomResourceDefinition", ours, "imagedigestmirrorsets.config.openshift.io", "imagetagmirrorsets.config.openshift.io", "mirrornodes.mirrorset.io"),
		rbac + "clusterrolebindings": list("ClusterRoleBinding", ours, "mirrorset-manager"),
		rbac + "clusterroles":        list("ClusterRole", ours, "mirrorset-manager"),
		admission + "validatingadmissionpolicybindings": list("ValidatingAdmissionPolicyBinding", ours),
		admission + "validatingadmissionpolicies":       list("ValidatingAdmissionPolicy", ours, "mirrorset-warnings"),
		plugintest.SetsPath:                             plugintest.SetList(set, set),
		plugintest.TagSetsPath:                          plugintest.TagSetList(),
	}
	behind := plugintest.Serve(t, objects)
	changes = new([]string)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			*changes = append(*changes, r.Method+" "+r.URL.Path)
			http.Error(w, "no more", http.StatusTeapot)
			return
		}
		http.Redirect(w, r, behind+r.URL.String(), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(front.Close)
	return objects, front.URL, changes
}

func run(t *testing.T, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(uninstall.Command()), "y\n", append([]string{"uninstall"}, args...)...)
}

const plan = `Remove the files of Mirrorset from 3 nodes: images come from their sources again, blocked sources too
Delete customresourcedefinitions imagedigestmirrorsets.config.openshift.io, and with it 2 ImageDigestMirrorSets
Delete customresourcedefinitions imagetagmirrorsets.config.openshift.io, and with it 0 ImageTagMirrorSets
Delete customresourcedefinitions mirrornodes.mirrorset.io
Delete clusterrolebindings mirrorset-manager
Delete clusterroles mirrorset-manager
Delete validatingadmissionpolicies mirrorset-warnings
Delete namespace mirrorset-system and everything in it
`

func TestItSaysWhatItWillDoAndDoesNothingUnasked(t *testing.T) {
	_, url, changes := installed(t)
	run(t, "--server", url, "--dry-run").Want(t, 0, plan, "")
	run(t, "--server", url).Want(t, 1, plan, "error: nothing was changed, because standard input is not a terminal and nobody can confirm. Use --yes, or --dry-run to see what would be done\n")
	if len(*changes) > 0 {
		t.Errorf("it changed the cluster: %q", *changes)
	}
	if r := run(t, "--server", url, "--yes"); r.Code != 1 || len(*changes) != 1 || (*changes)[0] != "PATCH "+managerPath {
		t.Errorf("with --yes: exit code %d, changes %q, %s", r.Code, *changes, r.Stderr)
	}
}

func TestAPersonAtATerminalIsAsked(t *testing.T) {
	for answer, goesOn := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "yesterday\n": false, "\x04": false} {
		_, url, changes := installed(t)
		keeper, terminal := plugintest.NewTerminal(t, 80)
		if _, err := keeper.WriteString(answer); err != nil {
			t.Fatal(err)
		}
		program := plugintest.Program(uninstall.Command())
		var out strings.Builder
		program.SetArgs([]string{"uninstall", "--server", url})
		program.SetIn(terminal)
		program.SetOut(&out)
		err := program.ExecuteContext(t.Context())
		if asked := out.String(); !strings.HasPrefix(asked, plan+"Continue? [y/N] ") {
			t.Errorf("%q: it says %s", answer, asked)
		}
		if (len(*changes) > 0) != goesOn || err == nil {
			t.Errorf("%q: changes %q, error %v", answer, *changes, err)
		}
	}
}

func TestWhatStaysIsSaid(t *testing.T) {
	objects, url, _ := installed(t)
	objects[managerPath] = appsv1.Deployment{TypeMeta: metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"}, ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"meta.helm.sh/release-name": "m"}}}
	r := run(t, "--server", url, "--dry-run")
	if !strings.HasSuffix(r.Stdout, "Leave the rest to Helm, including namespace mirrorset-system\n") || strings.Contains(r.Stdout, "Delete namespace") {
		t.Errorf("with Helm: %s", r.Stdout)
	}
	objects[managerPath] = appsv1.Deployment{TypeMeta: metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"}, ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"olm.owner": "m.v1"}}}
	run(t, "--server", url, "--dry-run").WantError(t, "OLM keeps Mirrorset installed")
	delete(objects, managerPath)
	run(t, "--server", url, "--dry-run").WantError(t, "there is no Deployment mirrorset-manager in namespace mirrorset-system")
}
