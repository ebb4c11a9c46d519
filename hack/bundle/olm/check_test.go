// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
)

const (
	root    = "../../.."
	csv     = "bundle/manifests/mirrorset.clusterserviceversion.yaml"
	service = "bundle/manifests/mirrorset-manager-metrics_v1_service.yaml"
)

// committed is the bundle of this checkout.
func committed(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(os.DirFS(root), "bundle/manifests/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("there is no bundle: %v", err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(os.DirFS(root), name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: content}
	}
	return files
}

// first is the committed bundle as that of the first version.
func first(t *testing.T) fstest.MapFS {
	t.Helper()
	files := committed(t)
	bundle, err := olm.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	spec := bundle.CSV.Spec
	text := strings.ReplaceAll(string(files[csv].Data), spec.Version, "0.1.0-dev")
	text = strings.Replace(text, "  replaces: "+spec.Replaces+"\n", "", 1)
	files[csv] = &fstest.MapFile{Data: []byte(text)}
	return files
}

// replace changes a file in one place, or makes it where old is empty.
func replace(t *testing.T, files fstest.MapFS, file, old, text string) {
	t.Helper()
	if old == "" {
		files[file] = &fstest.MapFile{Data: []byte(text)}
		return
	}
	before := string(files[file].Data)
	after := strings.Replace(before, old, text, 1)
	if after == before {
		t.Fatalf("%s does not have %q", file, old)
	}
	files[file] = &fstest.MapFile{Data: []byte(after)}
}

// check is what `make bundle` does last.
func check(files fstest.MapFS) error {
	bundle, err := olm.Load(files)
	if err != nil {
		return err
	}
	return errors.Join(bundle.Check()...)
}

func TestTheCommittedBundleKeepsTheRules(t *testing.T) {
	if err := check(committed(t)); err != nil {
		t.Error(err)
	}
}

// Each rule, with one change that breaks it.
func TestABrokenBundleIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		file, old, text string
		want            string
	}{
		"replaces what is newer":      {csv, "\nspec:\n", "\nspec:\n  replaces: mirrorset.v9.0.0\n", `spec.replaces is "mirrorset.v9.0.0"; want a bundle of this package with a lower version`},
		"install mode missing":        {csv, "  - supported: false\n    type: OwnNamespace\n", "", "want each of the four once, and AllNamespaces alone supported"},
		"install mode not right":      {csv, "supported: false\n    type: OwnNamespace", "supported: true\n    type: OwnNamespace", "AllNamespaces alone supported"},
		"internal but not owned":      {csv, `'["mirrornodes.mirrorset.io"]'`, `'["others.mirrorset.io"]'`, "CRD others.mirrorset.io is not owned"},
		"internal that is no list":    {csv, `'["mirrornodes.mirrorset.io"]'`, "mirrornodes.mirrorset.io", "internal-objects: want a list of names"},
		"namespace of another kind":   {csv, `"name":"mirrorset-system"}}'`, `"name":"mirrorset-system"},"data":{}}'`, "suggested-namespace-template: want a Namespace"},
		"namespace without rights":    {csv, `"pod-security.kubernetes.io/enforce":"privileged"`, `"pod-security.kubernetes.io/enforce":"baseline"`, `pod-security.kubernetes.io/enforce is "baseline"; want privileged`},
		"kind that is not everywhere": {"bundle/manifests/rules.yaml", "", "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: rules}\n", "PrometheusRule rules: not every cluster knows this kind"},
		"no request of CPU":           {csv, "                    cpu: 10m\n", "", "container manager has no resources.requests.cpu"},
		"no request of memory":        {csv, "                    memory: 64Mi\n", "                    other: 1\n", "container manager has no resources.requests.memory"},
		"image by digest and by tag":  {csv, "  relatedImages:\n", "  relatedImages:\n  - {name: agent, image: 'ghcr.io/mirrorset/agent@sha256:00'}\n", "spec.relatedImages are by digest and by tag"},
		"no CSV":                      {csv, "kind: ClusterServiceVersion", "kind: ConfigMap", "bundle/manifests: there is no ClusterServiceVersion"},
		"manifest that is none":       {service, "kind: Service", "type: Service", "mirrorset-manager-metrics_v1_service.yaml: "},
	} {
		t.Run(name, func(t *testing.T) {
			files := first(t)
			replace(t, files, c.file, c.old, c.text)
			if err := check(files); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v; want one with %s", err, c.want)
			}
		})
	}
}
