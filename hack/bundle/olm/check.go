// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Check returns the rules that a bundle breaks and that nobody else would find. What OLM's own validators judge is not here, but in
// test/olm; the API server judges the example of a set in test/bundle.
func (b *Bundle) Check() []error {
	broken := slices.Concat(b.checkLabels(), b.checkAnnotations(), b.checkKinds(), b.checkAccounts(), b.checkRequests(), b.checkImages())
	for _, err := range []error{b.checkName(), b.checkInstallModes()} {
		if err != nil {
			broken = append(broken, err)
		}
	}
	return broken
}

// checkLabels: the labels of the bundle's image say the same as the bundle does.
func (b *Bundle) checkLabels() (broken []error) {
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
	return broken
}

// checkName: the bundle's name has its version, and what it replaces is older.
func (b *Bundle) checkName() error {
	if want := PackageName + ".v" + b.CSV.Spec.Version; b.CSV.Name != want {
		return fmt.Errorf("ClusterServiceVersion: metadata.name is %q; want %q for spec.version %s", b.CSV.Name, want, b.CSV.Spec.Version)
	}
	if replaces := b.CSV.Spec.Replaces; replaces != "" {
		if higher, err := isHigher(b.CSV.Name, replaces); err != nil || !higher {
			return fmt.Errorf("ClusterServiceVersion %s: spec.replaces is %q; want a bundle of this package with a lower version", b.CSV.Name, replaces)
		}
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

// The annotations that hold names and objects which OLM does not look at, and OpenShift's console does.
const (
	internalKey  = "operators.operatorframework.io/internal-objects"
	namespaceKey = "operatorframework.io/suggested-namespace"
	templateKey  = namespaceKey + "-template"
)

// checkAnnotations: the console hides what is owned, and makes a namespace that the agents can run in.
func (b *Bundle) checkAnnotations() (broken []error) {
	fail := func(key, format string, args ...any) {
		broken = append(broken, fmt.Errorf("ClusterServiceVersion %s: annotation %s: %w", b.CSV.Name, key, fmt.Errorf(format, args...)))
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

// foreign are the kinds which OLM takes in a bundle, and which fail to install on a cluster that does not know them.
var foreign = []string{"ConsoleYAMLSample", "PrometheusRule", "ServiceMonitor", "VerticalPodAutoscaler"}

// checkKinds: every cluster knows the kind of each manifest.
func (b *Bundle) checkKinds() (broken []error) {
	for _, object := range b.Manifests {
		if slices.Contains(foreign, object.GetKind()) {
			broken = append(broken, fmt.Errorf("%s %s: not every cluster knows this kind, and OLM fails to install the bundle where it is missing", object.GetKind(), object.GetName()))
		}
	}
	return broken
}

// checkAccounts: OLM makes the accounts of the CSV, so none of them has a manifest, and the Deployment runs with one of them.
func (b *Bundle) checkAccounts() (broken []error) {
	made := map[string]bool{}
	install := b.CSV.Spec.Install.Spec
	for _, p := range slices.Concat(install.Permissions, install.ClusterPermissions) {
		made[p.ServiceAccountName] = true
	}
	for _, object := range b.Manifests {
		if object.GetKind() == "ServiceAccount" && made[object.GetName()] {
			broken = append(broken, fmt.Errorf("ServiceAccount %s: it has a manifest, and OLM makes it by the CSV's permissions too", object.GetName()))
		}
	}
	for _, d := range install.Deployments {
		if account := d.Spec.Template.Spec.ServiceAccountName; !made[account] {
			broken = append(broken, fmt.Errorf("Deployment %s: account %q has no permissions in the CSV, so OLM does not make it", d.Name, account))
		}
	}
	return broken
}

// checkRequests: each says what it needs, or a quota can refuse its Pod.
func (b *Bundle) checkRequests() (broken []error) {
	for _, d := range b.CSV.Spec.Install.Spec.Deployments {
		pod := d.Spec.Template.Spec
		for _, container := range slices.Concat(pod.Containers, pod.InitContainers) {
			for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				if quantity := container.Resources.Requests[resource]; quantity.IsZero() {
					broken = append(broken, fmt.Errorf("Deployment %s: container %s has no resources.requests.%s", d.Name, container.Name, resource))
				}
			}
		}
	}
	return broken
}

// checkImages: who mirrors the operator for a site without a way out finds all of its images, and, for a release, each by what is in it.
func (b *Bundle) checkImages() (broken []error) {
	fail := func(format string, args ...any) {
		broken = append(broken, fmt.Errorf("ClusterServiceVersion %s: "+format, append([]any{b.CSV.Name}, args...)...))
	}
	has := func(image string) bool {
		return slices.ContainsFunc(b.CSV.Spec.RelatedImages, func(r RelatedImage) bool { return r.Image == image })
	}
	var used []string
	for _, d := range b.CSV.Spec.Install.Spec.Deployments {
		for _, image := range imagesOf(&d.Spec) {
			used = append(used, image.Image)
			if !has(image.Image) {
				fail("spec.relatedImages has no %s, which Deployment %s runs as %s", image.Image, d.Name, image.Name)
			}
		}
	}
	if image := b.CSV.Annotations["containerImage"]; !has(image) {
		fail("spec.relatedImages has no %s, the annotation containerImage", image)
	}
	digests := 0
	for _, related := range b.CSV.Spec.RelatedImages {
		if related.Name == "" || !slices.Contains(used, related.Image) {
			fail("spec.relatedImages has %q as %q; want a name, and an image that a Deployment runs", related.Image, related.Name)
		}
		if strings.Contains(related.Image, "@sha256:") {
			digests++
		}
	}
	if digests != 0 && digests != len(b.CSV.Spec.RelatedImages) {
		fail("spec.relatedImages are by digest and by tag %v; want either", b.CSV.Spec.RelatedImages)
	}
	return broken
}
