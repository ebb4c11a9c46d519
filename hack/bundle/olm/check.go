// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/blang/semver/v4"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

// Check says which rules of OLM's, or of this project's, a bundle breaks.
func (b *Bundle) Check() []error {
	var broken []error
	rule := func(errs ...error) {
		broken = append(broken, slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
	}
	rule(b.checkMetadata()...)
	rule(b.checkName())
	rule(b.checkInstallModes())
	rule(b.checkOwned()...)
	rule(b.checkExamples()...)
	rule(b.checkKinds()...)
	rule(b.checkAccounts()...)
	rule(b.checkContainers()...)
	rule(b.checkImages()...)
	return broken
}

// checkMetadata: what the bundle says about itself is complete, and the labels of its image say the same.
func (b *Bundle) checkMetadata() (broken []error) {
	want := values([]string{"?"}, "?")
	for _, fact := range facts {
		key := factPrefix + fact
		value := b.Annotations[key]
		if want := want[fact]; value == "" || want != "?" && value != want {
			broken = append(broken, fmt.Errorf("%s: %s is %q; want %q", annotationsFile, key, value, want))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(b.Annotations)) {
		if b.Labels[key] != b.Annotations[key] {
			broken = append(broken, fmt.Errorf("%s: LABEL %s is %q; want %q as in %s", dockerfile, key, b.Labels[key], b.Annotations[key], annotationsFile))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(b.Labels)) {
		if _, ok := b.Annotations[key]; !ok {
			broken = append(broken, fmt.Errorf("%s: LABEL %s is not in %s", dockerfile, key, annotationsFile))
		}
	}
	channels := strings.Split(b.Annotations[factPrefix+"channels.v1"], ",")
	for _, channel := range channels {
		if !slices.Contains([]string{"candidate", "fast", "stable"}, channel) {
			broken = append(broken, fmt.Errorf("%s: channel %q is none of candidate, fast and stable", annotationsFile, channel))
		}
	}
	return broken
}

// checkName: the name has the version in it, and what is replaced is older.
func (b *Bundle) checkName() error {
	version, err := semver.Parse(b.CSV.Spec.Version)
	if err != nil {
		return fmt.Errorf("ClusterServiceVersion %s: spec.version %q: %w", b.CSV.Name, b.CSV.Spec.Version, err)
	}
	if want := PackageName + ".v" + version.String(); b.CSV.Name != want {
		return fmt.Errorf("ClusterServiceVersion: metadata.name is %q; want %q for spec.version %s", b.CSV.Name, want, version)
	}
	if replaces := b.CSV.Spec.Replaces; replaces != "" {
		if higher, err := isHigher(b.CSV.Name, replaces); err != nil || !higher {
			return fmt.Errorf("ClusterServiceVersion %s: spec.replaces is %q; want a bundle of this package with a lower version", b.CSV.Name, replaces)
		}
	}
	if _, err := semver.Parse(b.CSV.Spec.MinKubeVersion); err != nil {
		return fmt.Errorf("ClusterServiceVersion %s: spec.minKubeVersion %q: %w", b.CSV.Name, b.CSV.Spec.MinKubeVersion, err)
	}
	return nil
}

// checkInstallModes: sets and nodes have no namespace, so the operator cannot be there for some namespaces only.
func (b *Bundle) checkInstallModes() error {
	modes := map[string]bool{}
	for _, mode := range b.CSV.Spec.InstallModes {
		modes[mode.Type] = mode.Supported
	}
	want := map[string]bool{"OwnNamespace": false, "SingleNamespace": false, "MultiNamespace": false, "AllNamespaces": true}
	if len(b.CSV.Spec.InstallModes) != len(want) || !maps.Equal(modes, want) {
		return fmt.Errorf("ClusterServiceVersion %s: spec.installModes are %v; want each of the four once, and AllNamespaces alone supported", b.CSV.Name, b.CSV.Spec.InstallModes)
	}
	return nil
}

// checkOwned: the CRDs that are owned are those that are in the bundle.
func (b *Bundle) checkOwned() (broken []error) {
	served := map[string]bool{}
	for _, object := range b.Manifests {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &crd); err != nil {
			return []error{fmt.Errorf("CustomResourceDefinition %s: %w", object.GetName(), err)}
		}
		for _, version := range crd.Spec.Versions {
			served[crd.Name+" "+crd.Spec.Names.Kind+" "+version.Name] = version.Served
		}
	}
	for _, owned := range b.CSV.Spec.CRDs.Owned {
		key := owned.Name + " " + owned.Kind + " " + owned.Version
		if !served[key] {
			broken = append(broken, fmt.Errorf("ClusterServiceVersion %s: CRD %s is owned, but the bundle has no such CRD", b.CSV.Name, key))
		}
		if owned.Description == "" {
			broken = append(broken, fmt.Errorf("ClusterServiceVersion %s: CRD %s is owned without a description", b.CSV.Name, key))
		}
		delete(served, key)
	}
	for _, key := range slices.Sorted(maps.Keys(served)) {
		broken = append(broken, fmt.Errorf("ClusterServiceVersion %s: CRD %s is in the bundle, but not owned", b.CSV.Name, key))
	}
	return broken
}

// The annotations that hold objects.
const (
	examplesKey  = "alm-examples"
	firstKey     = "operatorframework.io/initialization-resource"
	internalKey  = "operators.operatorframework.io/internal-objects"
	namespaceKey = "operatorframework.io/suggested-namespace"
	templateKey  = namespaceKey + "-template"
)

// checkExamples: objects that people are offered are what the API server takes, and examples are of owned kinds only.
func (b *Bundle) checkExamples() (broken []error) {
	fail := func(key, format string, args ...any) {
		broken = append(broken, fmt.Errorf("ClusterServiceVersion %s: annotation %s: %w", b.CSV.Name, key, fmt.Errorf(format, args...)))
	}
	var examples []json.RawMessage
	if err := json.Unmarshal([]byte(b.CSV.Annotations[examplesKey]), &examples); err != nil {
		fail(examplesKey, "want a list of objects: %w", err)
	}
	for _, example := range examples {
		gvk, err := decode(example)
		if err != nil {
			fail(examplesKey, "%w", err)
		} else if !slices.ContainsFunc(b.CSV.Spec.CRDs.Owned, func(o OwnedCRD) bool {
			_, group := o.names()
			return schema.GroupVersionKind{Group: group, Version: o.Version, Kind: o.Kind} == gvk
		}) {
			fail(examplesKey, "%s is not owned", gvk.Kind)
		}
	}
	if _, err := decode([]byte(b.CSV.Annotations[firstKey])); err != nil {
		fail(firstKey, "%w", err)
	}
	var internal []string
	if err := json.Unmarshal([]byte(b.CSV.Annotations[internalKey]), &internal); err != nil {
		fail(internalKey, "want a list of names: %w", err)
	}
	for _, name := range internal {
		if !slices.ContainsFunc(b.CSV.Spec.CRDs.Owned, func(o OwnedCRD) bool { return o.Name == name }) {
			fail(internalKey, "CRD %s is not owned", name)
		}
	}
	var namespace corev1.Namespace
	if err := yaml.UnmarshalStrict([]byte(b.CSV.Annotations[templateKey]), &namespace); err != nil {
		fail(templateKey, "want a Namespace: %w", err)
	}
	if suggested := b.CSV.Annotations[namespaceKey]; suggested != namespace.Name {
		fail(namespaceKey, "is %q; want %q, the name in %s", suggested, namespace.Name, templateKey)
	}
	if level := namespace.Labels["pod-security.kubernetes.io/enforce"]; level != "privileged" {
		fail(templateKey, "label pod-security.kubernetes.io/enforce is %q; want privileged, which the agents need", level)
	}
	return broken
}

// decode reads an object of ours as strictly as kubectl does.
func decode(text []byte) (schema.GroupVersionKind, error) {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(text); err != nil {
		return schema.GroupVersionKind{}, fmt.Errorf("want an object: %w", err)
	}
	gvk := object.GroupVersionKind()
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{configv1.AddToScheme, mirrorsetv1alpha1.AddToScheme} {
		if err := add(types); err != nil {
			return gvk, err
		}
	}
	typed, err := types.New(gvk)
	if err != nil {
		return gvk, err
	}
	if err := yaml.UnmarshalStrict(text, typed); err != nil {
		return gvk, fmt.Errorf("%s %s: %w", gvk.Kind, object.GetName(), err)
	}
	return gvk, nil
}
