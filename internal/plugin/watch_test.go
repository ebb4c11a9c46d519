// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// lists answers lists and requests for one object, and takes watches without a word. The list that a watch begins with may be of
// any age (resourceVersion=0); that is the old one.
func lists(t *testing.T, old any, now func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		q, object := r.URL.Query(), old
		switch {
		case q.Has("sendInitialEvents"):
			w.WriteHeader(http.StatusBadRequest)
			object = apierrors.NewBadRequest("not here").Status()
		case q.Has("watch"):
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		case q.Get("resourceVersion") != "0":
			object = now()
		}
		if err := json.NewEncoder(w).Encode(object); err != nil {
			t.Error(err)
		}
	}
}

// After a break the watches come back one by one: with the sets and the ConfigMap of now and the nodes of before, or the other way
// round, all may seem to be in force.
func TestAWatchDoesNotTakeOldObjectsForTheEnd(t *testing.T) {
	behind, there := nodeList(nodeAt("node-1", currentRevision-1)), nodeList(nodeAt("node-1", currentRevision))
	var asked atomic.Int32
	nodes := lists(t, there, func() any {
		if asked.Add(1) <= 3 { // the first two are before the watch
			return behind
		}
		return there
	})
	sets, configMap := setList(), configMapOf(t, current)
	configMaps := map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{configMap}}
	url := serve(t, map[string]any{
		nodesPath: nodes, setsPath: lists(t, sets, func() any { return sets }), configMapPath: configMap,
		"/api/v1/namespaces/mirrorset-system/configmaps": lists(t, configMaps, func() any { return configMaps }),
	})
	r := runMain(t, "", "nodes", "--server", url, "--watch", "--no-headers", "--timeout=20s")
	if r.code != 0 || !regexp.MustCompile(`^node-1 .* InForce .*\nnode-1 .* Behind .*\nnode-1 .* InForce .*\n$`).MatchString(r.stdout) {
		t.Errorf("exit code %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// Each right that is missing is named at once, and not waited for.
func TestAWatchThatMayNotBeHeldIsAnError(t *testing.T) {
	sets, nodes, configMap := setList(), nodeList(nodeAt("node-1", currentRevision-1)), configMapOf(t, current)
	configMaps := map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{configMap}}
	const configMapsPath = "/api/v1/namespaces/mirrorset-system/configmaps"
	for _, path := range []string{setsPath, nodesPath, configMapsPath} {
		for _, watch := range []bool{false, true} {
			objects := map[string]any{configMapPath: configMap}
			for at, list := range map[string]any{setsPath: sets, nodesPath: nodes, configMapsPath: configMaps} {
				allowed := lists(t, list, func() any { return list })
				objects[at] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if at == path && r.URL.Query().Has("watch") == watch {
						refuses(w, r)
						return
					}
					allowed(w, r)
				})
			}
			r := runMain(t, "", "nodes", "--server", serve(t, objects), "--watch", "--timeout=10s")
			if r.code != 1 || !strings.Contains(r.stderr, "forbidden") {
				t.Errorf("%s, watch %t: exit code %d: %s%s", path, watch, r.code, r.stdout, r.stderr)
			}
		}
	}
}

func TestAnAPIServerThatDoesNotAnswerIsNotWaitedForLongerThanTold(t *testing.T) {
	hangs := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	url := serve(t, map[string]any{nodesPath: hangs})
	runMain(t, "", "nodes", "--server", url, "--watch", "--timeout=100ms").want(t, 1, "", "error: the API server has not answered after 100ms\n")
	runMain(t, "", "nodes", "--server", url, "--timeout=1s").want(t, 1, "", "error: --timeout is for --watch only\n")
}

// What client-go has to say of a watch that it begins again would stand between the rows.
func TestOnlyOurOwnWordsReachTheTerminal(t *testing.T) {
	program := filepath.Join(t.TempDir(), "kubectl-mirrors")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/kubectl-mirrors").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	configMap := configMapOf(t, current)
	objects := map[string]any{configMapPath: configMap}
	for path, list := range map[string]any{
		setsPath: setList(), nodesPath: nodeList(nodeAt("node-1", currentRevision-1)),
		"/api/v1/namespaces/mirrorset-system/configmaps": map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{configMap}},
	} {
		answers := lists(t, list, func() any { return list })
		objects[path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); !q.Has("watch") || q.Has("sendInitialEvents") {
				answers(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "no event\n") // the client says so
		})
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "nodes", "--watch", "--timeout=1s", "--server", serve(t, objects))
	cmd.Stderr = &stderr
	const want = "0 of 1 node has revision 1795573438818 in force; 1 behind.\nerror: not all nodes have in force what the sets say after 1s\n"
	if err := cmd.Run(); err == nil || stderr.String() != want {
		t.Errorf("%v, stderr:\n%s\nwant:\n%s", err, &stderr, want)
	}
}

func TestEveryChangeThatTheManagerHasYetToPublishIsWaitedFor(t *testing.T) {
	made := func(name, uid string, generation int64) configv1.ImageDigestMirrorSet {
		return configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), Generation: generation}}
	}
	sets := []configv1.ImageDigestMirrorSet{made("b", "2", 1), made("a", "1", 2)}
	p := payload.New(1, nil)
	p.Sets = payload.DigestOfSets([]payload.SetState{{Kind: "ImageDigestMirrorSet", Name: "a", UID: "1", Generation: 2}, {Kind: "ImageDigestMirrorSet", Name: "b", UID: "2", Generation: 1}})
	older := payload.New(1, nil)
	const change = "the manager has yet to publish the latest change or deletion of a set"
	for _, tt := range []struct {
		name string
		now  state
		want string
	}{
		{"all are published", state{sets: sets, published: &p}, ""},
		{"one was changed", state{sets: []configv1.ImageDigestMirrorSet{made("b", "2", 2), made("a", "1", 2)}, published: &p}, change},
		{"one was made anew", state{sets: []configv1.ImageDigestMirrorSet{made("b", "3", 1), made("a", "1", 2)}, published: &p}, change},
		{"one was deleted", state{sets: sets[:1], published: &p}, change},
		{"all were deleted", state{published: &p}, change},
		{"one was made", state{sets: append(sets, made("c", "3", 1)), published: &p}, change},
		{"nothing is published", state{}, "there is no ConfigMap containers-registries.conf, so nothing is published"},
		{"what is published is damaged", state{damage: errors.New("it is damaged")}, "it is damaged"},
		{"the manager is older", state{published: &older}, "what is published does not say which sets it is of, as that of a manager older than this plugin"},
	} {
		if got := tt.now.pending(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A script that waits for a manager that never comes has to be told, or it hangs without a word.
func TestWhatAWatchWaitsForIsSaidWhereNoLineCanBeWrittenAgain(t *testing.T) {
	older := payload.New(currentRevision, []byte("text"))
	damaged := configMapOf(t, current)
	damaged["data"] = map[string]any{payload.Key: "another text"}
	set := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1", Generation: 1}}
	for _, tt := range []struct {
		name      string
		sets      any
		configMap any
		want      string
	}{
		{"a set is not published", setList(set), configMapOf(t, current), "Waiting: the manager has yet to publish the latest change or deletion of a set. If that"},
		{"the manager is older", setList(), configMapOf(t, older), "Waiting: what is published does not say which sets it is of, as that of a manager older than this plugin. If that"},
		{"the ConfigMap was damaged meanwhile", setList(), damaged, "Waiting: ConfigMap mirrorset-system/containers-registries.conf: the digest of the text is "},
	} {
		configMaps := map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{tt.configMap}}
		nodes := nodeList(nodeAt("node-1", currentRevision))
		url := serve(t, map[string]any{
			nodesPath: lists(t, nodes, func() any { return nodes }), setsPath: lists(t, tt.sets, func() any { return tt.sets }), configMapPath: configMapOf(t, current),
			"/api/v1/namespaces/mirrorset-system/configmaps": lists(t, configMaps, func() any { return configMaps }),
		})
		r := runMain(t, "", "nodes", "--server", url, "--watch", "--timeout=1500ms")
		if r.code != 1 || !strings.HasPrefix(r.stderr, tt.want) || strings.Count(r.stderr, "kubectl mirrors doctor") != 1 {
			t.Errorf("%s: exit code %d:\n%s%s\nwant %q, once", tt.name, r.code, r.stdout, r.stderr, tt.want)
		}
	}
}
