// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
)

// noTagSets answers as an API server does that serves tag sets and has none.
func noTagSets(t *testing.T) http.HandlerFunc {
	t.Helper()
	none := plugintest.TagSetList()
	return plugintest.Lists(t, none, func() any { return none })
}

// After a break the watches come back one by one: with the sets and the ConfigMap of now and the nodes of before, or the other way
// round, all may seem to be in force.
func TestAWatchDoesNotTakeOldObjectsForTheEnd(t *testing.T) {
	behind, there := plugintest.NodeList(plugintest.NodeAt("node-1", plugintest.CurrentRevision-1)), plugintest.NodeList(plugintest.NodeAt("node-1", plugintest.CurrentRevision))
	var asked atomic.Int32
	nodes := plugintest.Lists(t, there, func() any {
		if asked.Add(1) <= 3 { // the first two are before the watch
			return behind
		}
		return there
	})
	sets, configMap := plugintest.SetList(), plugintest.ConfigMapOf(t, plugintest.Current)
	configMaps := map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{configMap}}
	url := plugintest.Serve(t, map[string]any{
		plugintest.NodesPath: nodes, plugintest.SetsPath: plugintest.Lists(t, sets, func() any { return sets }), plugintest.TagSetsPath: noTagSets(t), plugintest.ConfigMapPath: configMap,
		"/api/v1/namespaces/mirrorset-system/configmaps": plugintest.Lists(t, configMaps, func() any { return configMaps }),
	})
	r := run(t, "", "nodes", "--server", url, "--watch", "--no-headers", "--timeout=20s")
	if r.Code != 0 || !regexp.MustCompile(`^node-1 .* InForce .*\nnode-1 .* Behind .*\nnode-1 .* InForce .*\n$`).MatchString(r.Stdout) {
		t.Errorf("exit code %d:\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// Where tag sets are not served, what there is can be waited for.
func TestAClusterOfAnOlderManagerIsWatched(t *testing.T) {
	sets, nodes, configMap := plugintest.SetList(), plugintest.NodeList(plugintest.NodeAt("node-1", plugintest.CurrentRevision)), plugintest.ConfigMapOf(t, plugintest.Current)
	configMaps := map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{configMap}}
	url := plugintest.Serve(t, map[string]any{
		plugintest.NodesPath: plugintest.Lists(t, nodes, func() any { return nodes }), plugintest.SetsPath: plugintest.Lists(t, sets, func() any { return sets }), plugintest.ConfigMapPath: configMap,
		"/api/v1/namespaces/mirrorset-system/configmaps": plugintest.Lists(t, configMaps, func() any { return configMaps }),
	})
	r := run(t, "", "nodes", "--server", url, "--watch", "--no-headers", "--timeout=20s")
	if r.Code != 0 || strings.Count(r.Stderr, "warning: NotServed: ") != 1 || !strings.HasSuffix(r.Stderr, "\n1 node has revision 1795573438818 in force.\n") {
		t.Errorf("exit code %d:\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// Each right that is missing is named at once, and not waited for.
func TestAWatchThatMayNotBeHeldIsAnError(t *testing.T) {
	sets, nodes, configMap := plugintest.SetList(), plugintest.NodeList(plugintest.NodeAt("node-1", plugintest.CurrentRevision-1)), plugintest.ConfigMapOf(t, plugintest.Current)
	configMaps := map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{configMap}}
	const configMapsPath = "/api/v1/namespaces/mirrorset-system/configmaps"
	for _, path := range []string{plugintest.SetsPath, plugintest.NodesPath, configMapsPath} {
		for _, watch := range []bool{false, true} {
			objects := map[string]any{plugintest.ConfigMapPath: configMap, plugintest.TagSetsPath: noTagSets(t)}
			for at, list := range map[string]any{plugintest.SetsPath: sets, plugintest.NodesPath: nodes, configMapsPath: configMaps} {
				allowed := plugintest.Lists(t, list, func() any { return list })
				objects[at] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if at == path && r.URL.Query().Has("watch") == watch {
						plugintest.Refuse(w, r)
						return
					}
					allowed(w, r)
				})
			}
			r := run(t, "", "nodes", "--server", plugintest.Serve(t, objects), "--watch", "--timeout=10s")
			if r.Code != 1 || !strings.Contains(r.Stderr, "forbidden") {
				t.Errorf("%s, watch %t: exit code %d: %s%s", path, watch, r.Code, r.Stdout, r.Stderr)
			}
		}
	}
}

func TestAnAPIServerThatDoesNotAnswerIsNotWaitedForLongerThanTold(t *testing.T) {
	hangs := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	url := plugintest.Serve(t, map[string]any{plugintest.NodesPath: hangs})
	run(t, "", "nodes", "--server", url, "--watch", "--timeout=100ms").Want(t, 1, "", "error: the API server did not answer within 100ms\n")
	run(t, "", "nodes", "--server", url, "--timeout=1s").Want(t, 1, "", "error: --timeout is for --watch only\n")
}

func TestAWatchOfANewerFormatEnds(t *testing.T) {
	newer := plugintest.Current
	newer.Format = payload.Format + 1
	configMaps := map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{plugintest.ConfigMapOf(t, newer)}}
	nodes, sets := plugintest.NodeList(plugintest.NodeAt("node-1", plugintest.CurrentRevision)), plugintest.SetList()
	url := plugintest.Serve(t, map[string]any{
		plugintest.NodesPath: plugintest.Lists(t, nodes, func() any { return nodes }), plugintest.SetsPath: plugintest.Lists(t, sets, func() any { return sets }), plugintest.TagSetsPath: noTagSets(t), plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, plugintest.Current),
		"/api/v1/namespaces/mirrorset-system/configmaps": plugintest.Lists(t, configMaps, func() any { return configMaps }),
	})
	if r := run(t, "", "nodes", "--server", url, "--watch", "--timeout=10s"); r.Code != 1 || !strings.Contains(r.Stderr, "upgrade kubectl mirrors to the version of the manager") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
}

func pausedConfigMap(t *testing.T) map[string]any {
	t.Helper()
	object := plugintest.ConfigMapOf(t, plugintest.Current)
	annotations := object["metadata"].(map[string]any)["annotations"].(map[string]string)
	maps.Copy(annotations, payload.Rollout{Paused: &payload.Order{By: "jane", Why: "maintenance"}}.Annotations())
	return object
}

// A script that waits for a manager that never comes has to be told, or it hangs without a word.
func TestWhatAWatchWaitsForIsSaidWhereNoLineCanBeWrittenAgain(t *testing.T) {
	older := payload.New(plugintest.CurrentRevision, []byte("text"))
	damaged := plugintest.ConfigMapOf(t, plugintest.Current)
	damaged["data"] = map[string]any{payload.Key: "another text"}
	set := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1", Generation: 1}}
	for _, tt := range []struct {
		name      string
		sets      any
		configMap any
		want      string
	}{
		{"a set is not published", plugintest.SetList(set), plugintest.ConfigMapOf(t, plugintest.Current), "Waiting: the manager has not yet published the latest change or deletion of a set. If this"},
		{"the manager is older", plugintest.SetList(), plugintest.ConfigMapOf(t, older), "Waiting: the published revision does not name its sets, because an older manager or an unfinished uninstall wrote it. If this"},
		{"somebody paused", plugintest.SetList(set), pausedConfigMap(t), "Waiting: paused by jane (maintenance). To continue: kubectl mirrors rollout resume\n"},
		{"the ConfigMap was damaged meanwhile", plugintest.SetList(), damaged, "Waiting: ConfigMap mirrorset-system/containers-registries.conf: the digest of the text is "},
	} {
		configMaps := map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": []any{tt.configMap}}
		nodes := plugintest.NodeList(plugintest.NodeAt("node-1", plugintest.CurrentRevision))
		url := plugintest.Serve(t, map[string]any{
			plugintest.NodesPath: plugintest.Lists(t, nodes, func() any { return nodes }), plugintest.SetsPath: plugintest.Lists(t, tt.sets, func() any { return tt.sets }), plugintest.TagSetsPath: noTagSets(t), plugintest.ConfigMapPath: plugintest.ConfigMapOf(t, plugintest.Current),
			"/api/v1/namespaces/mirrorset-system/configmaps": plugintest.Lists(t, configMaps, func() any { return configMaps }),
		})
		r := run(t, "", "nodes", "--server", url, "--watch", "--timeout=1500ms")
		if r.Code != 1 || !strings.HasPrefix(r.Stderr, tt.want) || strings.Count(r.Stderr, "kubectl mirrors ") != 1 {
			t.Errorf("%s: exit code %d:\n%s%s\nwant %q, once", tt.name, r.Code, r.Stdout, r.Stderr, tt.want)
		}
	}
}
