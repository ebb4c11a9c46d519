// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// installedNamespace is that of config/default.
const installedNamespace = "mirrorset-system"

// kustomized returns what kustomize makes of a folder of config/ with components of it.
func kustomized(t *testing.T, base string, components ...string) objects {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config, err := filepath.Abs(root + "config")
	if err == nil {
		config, err = filepath.Rel(folder, config)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("resources: [%s/%s]\ncomponents:\n", config, base)
	for _, component := range components {
		text += fmt.Sprintf("- %s/%s\n", config, component)
	}
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	all := objects{}
	all.add(t, string(manifests))
	return all
}

// likeKustomizes removes all in which the chart's objects and kustomize's may differ: the labels that tell whose an object is,
// which the chart's must have, and the namespace, which Helm creates by itself.
func likeKustomizes(t *testing.T, chart, kustomize objects) {
	t.Helper()
	version := load3(t).Metadata.Version
	for key, object := range chart {
		labels, _ := object["metadata"].(map[string]any)["labels"].(map[string]any)
		for label, want := range map[string]string{
			"helm.sh/chart":                "mirrorset-" + version,
			"app.kubernetes.io/instance":   release,
			"app.kubernetes.io/managed-by": "Helm",
		} {
			if labels[label] != want {
				t.Errorf("%s has %s=%v, want %s", key, label, labels[label], want)
			}
			delete(labels, label)
		}
	}
	for key := range kustomize {
		if strings.HasPrefix(key, "Namespace/") {
			delete(kustomize, key)
		}
	}
}

func TestTheChartIsWhatKustomizeMakes(t *testing.T) {
	for name, test := range map[string]struct {
		base       string
		components []string
		values     string
	}{
		"default":     {base: "default"},
		"prometheus":  {base: "default", components: []string{"prometheus"}, values: "{serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}}"},
		"grafana":     {base: "default", components: []string{"grafana"}, values: "dashboard: {enabled: true}"},
		"CRI-O":       {base: "crio-reload", values: "crioReload: true"},
		"all of them": {base: "crio-reload", components: []string{"prometheus", "grafana"}, values: "{crioReload: true, serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}"},
	} {
		t.Run(name, func(t *testing.T) {
			want := kustomized(t, test.base, test.components...)
			eachHelm(t, func(t *testing.T, h helm) {
				got := h.installs(t, installedNamespace, test.values)
				likeKustomizes(t, got, want)
				if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
					t.Fatalf("kustomize has -, and the chart +\n%s", diff)
				}
				for key := range want {
					if diff := cmp.Diff(want[key], got[key]); diff != "" {
						t.Errorf("%s: kustomize has -, and the chart +\n%s", key, diff)
					}
				}
			})
		})
	}
}

// TestTheNamespaceIsTheReleases wants the same in any namespace, one that YAML would take for a number included.
func TestTheNamespaceIsTheReleases(t *testing.T) {
	const values = "{serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}"
	eachHelm(t, func(t *testing.T, h helm) {
		text, err := json.Marshal(h.installs(t, installedNamespace, values))
		if err != nil {
			t.Fatal(err)
		}
		for _, namespace := range []string{"elsewhere", "123"} {
			var want objects
			if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), installedNamespace, namespace)), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, h.installs(t, namespace, values)); diff != "" {
				t.Errorf("%s: %s", namespace, diff)
			}
		}
	})
}
