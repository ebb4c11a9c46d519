// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/mirrorstest"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// rulesAt is a payload of a registries.conf without rules, which is what came of the sets.
func rulesAt(revision int64, sets ...configv1.ImageDigestMirrorSet) payload.Payload {
	p := payload.New(revision, []byte("# nothing\n"))
	of, err := mirrorstest.Of(sets...)
	if err != nil {
		panic(err)
	}
	p.Sets = kinds.DigestOf(of)
	return p
}

// inForceAt returns a node that has it in force.
func inForceAt(name string, p payload.Payload, changes ...func(*mirrorsetv1alpha1.MirrorNode)) mirrorsetv1alpha1.MirrorNode {
	return plugintest.NodeAt(name, p.Revision, append([]func(*mirrorsetv1alpha1.MirrorNode){
		func(n *mirrorsetv1alpha1.MirrorNode) { n.Status.Digest = p.Digest },
		plugintest.Says("RuntimeReady", metav1.ConditionTrue, "Ready", "nothing keeps it"),
	}, changes...)...)
}

func TestANodeIsNotFineWhereNothingTellsWhatIsPublished(t *testing.T) {
	damaged := plugintest.ConfigMapOf(t, rulesAt(plugintest.CurrentRevision))
	damaged["data"] = map[string]string{payload.Key: "other"}
	const untold = "WARNING  node/node-2: revision 1795573438818 is in force; the published revision could not be read, so it may be a different one\n"
	for _, tt := range []struct {
		name, path string
		object     any // nil for none
		problem    string
		warning    string
	}{
		{"no ConfigMap", plugintest.ConfigMapPath, nil, "PROBLEM  configmap/containers-registries.conf: it does not exist in namespace", untold},
		{"a damaged ConfigMap", plugintest.ConfigMapPath, damaged, "PROBLEM  configmap/containers-registries.conf: ConfigMap ", untold},
		{"a ConfigMap that may not be read", plugintest.ConfigMapPath, http.HandlerFunc(plugintest.Refuse), "PROBLEM  access: ", untold},
		{"nodes that may not be read", plugintest.NodesPath, http.HandlerFunc(plugintest.Refuse), "PROBLEM  access: ", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			objects := maps.Clone(healthy(t))
			if objects[tt.path] = tt.object; tt.object == nil {
				delete(objects, tt.path)
			}
			r := run(t, "", "doctor", "node-2", "--server", plugintest.Serve(t, objects))
			if r.Code != 1 || !strings.HasPrefix(r.Stdout, tt.problem) || !strings.HasSuffix(r.Stdout, tt.warning) || strings.Contains(r.Stdout, "OK ") {
				t.Errorf("exit code %d, stdout:\n%s", r.Code, r.Stdout)
			}
			all := run(t, "", "doctor", "--server", plugintest.Serve(t, objects))
			if folded := "WARNING  nodes: 2 nodes have rules in force; the published revision could not be read, so they may be from a different one\n"; tt.warning != "" && !strings.Contains(all.Stdout, folded) {
				t.Errorf("of the cluster:\n%s", all.Stdout)
			}
		})
	}
}

func TestANodeIsNotFineWhereMirrorsetIsNotInstalled(t *testing.T) {
	r := run(t, "", "doctor", "node-2", "--server", plugintest.Serve(t, nil))
	if r.Code != 1 || !strings.Contains(r.Stdout, "PROBLEM  crd/mirrornodes.mirrorset.io: the API server does not serve it") || strings.Contains(r.Stderr, "Nothing is wrong") {
		t.Errorf("exit code %d, stdout:\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	objects := healthy(t)
	delete(objects, plugintest.NodesPath) // though discovery says that it is served
	r = run(t, "", "doctor", "node-2", "--server", plugintest.Serve(t, objects))
	if r.Code != 2 || !strings.HasPrefix(r.Stderr, "error: the API server does not serve mirrornodes.mirrorset.io") {
		t.Errorf("exit code %d, stdout:\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

func TestWhatNodesSayCannotReachTheTerminal(t *testing.T) {
	objects := healthy(t)
	p := rulesAt(plugintest.CurrentRevision)
	objects[plugintest.NodesPath] = plugintest.NodeList(inForceAt("node-1", p, plugintest.Says("Applied", metav1.ConditionFalse, "NotInForce", "a\x1b[31m\r\nünd\x1b]0;x\aso")))
	r := run(t, "", "doctor", "node-1", "--server", plugintest.Serve(t, objects))
	if want := "PROBLEM  node/node-1: a\\x1b[31m\\r\n    ünd\\x1b]0;x\\aso\n"; r.Stdout != want {
		t.Errorf("%q, want %q", r.Stdout, want)
	}
}

func TestFlagsThatWouldCountForNothingAreErrors(t *testing.T) {
	file := filepath.Join(host(t, "", map[string]string{"etc/x": ""}), "etc", "x")
	for _, tt := range []struct {
		want string
		code int
		args []string
	}{
		{"--host-root is for --local only", 2, []string{"doctor", "--host-root=/host"}},
		{"--runtime-version is for --local only", 2, []string{"doctor", "node-1", "--runtime-version=containerd://2.1.4"}},
		{`--host-root "": no such file or directory`, 2, []string{"doctor", "--local", "--host-root="}},
		{`--host-root "` + file + `" is not a folder`, 2, []string{"doctor", "--local", "--host-root", file}},
	} {
		run(t, "", tt.args...).Want(t, tt.code, "", "error: "+tt.want+"\n")
	}
}
