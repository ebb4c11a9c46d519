// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// rulesAt is a payload of a registries.conf without rules, which is what came of the sets.
func rulesAt(revision int64, sets ...configv1.ImageDigestMirrorSet) payload.Payload {
	p := payload.New(revision, []byte("# nothing\n"))
	p.Sets = payload.DigestOfSets(payload.StatesOf(configv1.KindImageDigestMirrorSet, sets))
	return p
}

// inForceAt returns a node that has it in force.
func inForceAt(name string, p payload.Payload, changes ...func(*mirrorsetv1alpha1.MirrorNode)) mirrorsetv1alpha1.MirrorNode {
	return nodeAt(name, p.Revision, append([]func(*mirrorsetv1alpha1.MirrorNode){
		func(n *mirrorsetv1alpha1.MirrorNode) { n.Status.Digest = p.Digest },
		says("RuntimeReady", metav1.ConditionTrue, "Ready", readyMessage),
	}, changes...)...)
}

// refuses answers as an API server does whose user may not ask.
func refuses(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	status := apierrors.NewForbidden(schema.GroupResource{Resource: "x"}, "x", errors.New("not you")).Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	_ = json.NewEncoder(w).Encode(status) // the client says so
}

func TestANodeIsNotFineWhereNothingTellsWhatIsPublished(t *testing.T) {
	damaged := configMapOf(t, rulesAt(currentRevision))
	damaged["data"] = map[string]string{payload.Key: "other"}
	const untold = "WARNING  node/node-2: revision 1795573438818 is in force; whether that is what is published cannot be told\n"
	for _, tt := range []struct {
		name, path string
		object     any // nil for none
		problem    string
		warning    string
	}{
		{"no ConfigMap", configMapPath, nil, "PROBLEM  configmap/containers-registries.conf: it is not in namespace", untold},
		{"a damaged ConfigMap", configMapPath, damaged, "PROBLEM  configmap/containers-registries.conf: ConfigMap ", untold},
		{"a ConfigMap that may not be read", configMapPath, http.HandlerFunc(refuses), "PROBLEM  access: ", untold},
		{"nodes that may not be read", nodesPath, http.HandlerFunc(refuses), "PROBLEM  access: ", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			objects := maps.Clone(healthy(t))
			if objects[tt.path] = tt.object; tt.object == nil {
				delete(objects, tt.path)
			}
			r := runMain(t, "", "doctor", "node-2", "--server", serve(t, objects))
			if r.code != 1 || !strings.HasPrefix(r.stdout, tt.problem) || !strings.HasSuffix(r.stdout, tt.warning) || strings.Contains(r.stdout, "OK ") {
				t.Errorf("exit code %d, stdout:\n%s", r.code, r.stdout)
			}
			all := runMain(t, "", "doctor", "--server", serve(t, objects))
			if folded := "WARNING  nodes: 2 nodes have something in force; whether that is what is published cannot be told\n"; tt.warning != "" && !strings.Contains(all.stdout, folded) {
				t.Errorf("of the cluster:\n%s", all.stdout)
			}
		})
	}
}

func TestANodeIsNotFineWhereMirrorsetIsNotInstalled(t *testing.T) {
	r := runMain(t, "", "doctor", "node-2", "--server", serve(t, nil))
	if r.code != 1 || !strings.Contains(r.stdout, "PROBLEM  crd/mirrornodes.mirrorset.io: the cluster does not serve it") || strings.Contains(r.stderr, "Nothing is wrong") {
		t.Errorf("exit code %d, stdout:\n%s%s", r.code, r.stdout, r.stderr)
	}
	objects := healthy(t)
	delete(objects, nodesPath) // though discovery says that it is served
	r = runMain(t, "", "doctor", "node-2", "--server", serve(t, objects))
	if r.code != 2 || !strings.HasPrefix(r.stderr, "error: the cluster does not serve mirrornodes.mirrorset.io") {
		t.Errorf("exit code %d, stdout:\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func TestWhatNodesSayCannotReachTheTerminal(t *testing.T) {
	objects := healthy(t)
	p := rulesAt(currentRevision)
	objects[nodesPath] = nodeList(inForceAt("node-1", p, says("Applied", metav1.ConditionFalse, "NotInForce", "a\x1b[31m\r\nünd\x1b]0;x\aso")))
	r := runMain(t, "", "doctor", "node-1", "--server", serve(t, objects))
	if want := "PROBLEM  node/node-1: a\\x1b[31m\\r\n    ünd\\x1b]0;x\\aso\n"; r.stdout != want {
		t.Errorf("%q, want %q", r.stdout, want)
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
		{"--name is for a registries.yaml only", 1, []string{"convert", "-f", "testdata/cases/convert-policies.yaml", "--name=x"}},
		{`--host-root "": no such file or directory`, 2, []string{"doctor", "--local", "--host-root="}},
		{`--host-root "` + file + `": not a folder`, 2, []string{"doctor", "--local", "--host-root", file}},
	} {
		runMain(t, "", tt.args...).want(t, tt.code, "", "error: "+tt.want+"\n")
	}
}
