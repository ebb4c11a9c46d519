// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package helm_test renders the chart with the code of Helm 3 and of Helm 4, and holds it to what kustomize makes of config/.
package helm_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart"
	loader3 "helm.sh/helm/v3/pkg/chart/loader"
	chartutil3 "helm.sh/helm/v3/pkg/chartutil"
	engine3 "helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	loader4 "helm.sh/helm/v4/pkg/chart/v2/loader"
	engine4 "helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const (
	root      = "../../"
	chartPath = root + "charts/mirrorset"
	release   = "site" // not the chart's name, which no object is to depend on
	notes     = "mirrorset/templates/NOTES.txt"
)

// renderers are what people install charts with. Each returns the rendered files by their names in the chart.
var renderers = map[string]func(t *testing.T, namespace string, values map[string]any) (map[string]string, error){
	"Helm 3": func(t *testing.T, namespace string, values map[string]any) (map[string]string, error) {
		loaded := load3(t)
		all, err := chartutil3.ToRenderValues(loaded, values, chartutil3.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true}, nil)
		if err != nil {
			return nil, err
		}
		return engine3.Render(loaded, all)
	},
	"Helm 4": func(t *testing.T, namespace string, values map[string]any) (map[string]string, error) {
		loaded, err := loader4.Load(chartPath)
		if err != nil {
			t.Fatal(err)
		}
		all, err := util.ToRenderValues(loaded, values, common.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true}, nil)
		if err != nil {
			return nil, err
		}
		return engine4.Render(loaded, all)
	},
}

func load3(t *testing.T) *chart.Chart {
	t.Helper()
	loaded, err := loader3.Load(chartPath)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// helm renders the chart with values as people write them.
type helm func(namespace, values string) (files map[string]string, err error)

// eachHelm runs a test with both.
func eachHelm(t *testing.T, test func(t *testing.T, h helm)) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(renderers)) {
		t.Run(name, func(t *testing.T) {
			test(t, func(namespace, values string) (map[string]string, error) {
				var parsed map[string]any
				if err := yaml.UnmarshalStrict([]byte(values), &parsed); err != nil {
					t.Fatal(err)
				}
				return renderers[name](t, namespace, parsed)
			})
		})
	}
}

// objects are manifests by kind and name.
type objects map[string]map[string]any

// installs returns the objects that the chart installs.
func (h helm) installs(t *testing.T, namespace, values string) objects {
	t.Helper()
	installed, _ := h.renders(t, namespace, values)
	return installed
}

// renders returns the objects that the chart installs, and those that it creates for its test.
func (h helm) renders(t *testing.T, namespace, values string) (installed, tests objects) {
	t.Helper()
	files, err := h(namespace, values)
	if err != nil {
		t.Fatal(err)
	}
	all := objects{}
	for name, file := range files {
		if name != notes {
			all.add(t, file)
		}
	}
	installed, tests = objects{}, objects{}
	for key, object := range all {
		annotations, _ := object["metadata"].(map[string]any)["annotations"].(map[string]any)
		switch hook := annotations["helm.sh/hook"]; hook {
		case nil:
			installed[key] = object
		case "test":
			tests[key] = object
		default:
			t.Errorf("%s is for %s", key, hook)
		}
	}
	return installed, tests
}

// add takes the objects of a file, each of which must be one that its API knows, with no other fields than those of its type.
func (o objects) add(t *testing.T, file string) {
	t.Helper()
	for document := range strings.SplitSeq("\n"+file, "\n---\n") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		if _, _, err := strict.Decode([]byte(document), nil, nil); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		object := map[string]any{}
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		metadata, _ := object["metadata"].(map[string]any)
		key := object["kind"].(string) + "/" + metadata["name"].(string)
		if o[key] != nil {
			t.Fatalf("%s is there twice", key)
		}
		o[key] = object
	}
}

// strict reads objects of Kubernetes and of the Prometheus operator.
var strict = func() runtime.Decoder {
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, monitoringv1.AddToScheme} {
		if err := add(types); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
}()

// typed returns one of the objects as its type.
func typed[T any](t *testing.T, o objects, key string) T {
	t.Helper()
	var out T
	text, err := yaml.Marshal(o[key])
	if err == nil {
		err = yaml.UnmarshalStrict(bytes.TrimSpace(text), &out)
	}
	if err != nil || o[key] == nil {
		t.Fatalf("%s: %v", key, err)
	}
	return out
}
