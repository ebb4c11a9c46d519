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

// Check returns the rules that a bundle breaks. They are the rules that people can break in a release, and that no other check finds.
// [Generate] guarantees some rules by itself, OLM's own validators judge others (test/olm), and an installed bundle shows the rest
// (test/bundle).
func (b *Bundle) Check() (broken []error) {
	fail := func(format string, args ...any) {
		broken = append(broken, fmt.Errorf("ClusterServiceVersion %s: %w", b.CSV.Name, fmt.Errorf(format, args...)))
	}
	b.checkReplaces(fail)
	b.checkInstallModes(fail)
	b.checkInternal(fail)
	b.checkNamespace(fail)
	b.checkKinds(fail)
	b.checkRequests(fail)
	b.checkImages(fail)
	return broken
}

// report takes note of a broken rule.
type report func(format string, args ...any)

// checkReplaces: the bundle is an upgrade. It replaces the head of the default channel, which need not be one of its channels.
func (b *Bundle) checkReplaces(fail report) {
	if replaces := b.CSV.Spec.Replaces; replaces != "" {
		if higher, err := isHigher(b.CSV.Name, replaces); err != nil || !higher {
			fail("spec.replaces is %q; want a bundle of this package with a lower version", replaces)
		}
	}
}

// checkInstallModes: sets and nodes have no namespace, so the operator cannot be there for some namespaces only.
func (b *Bundle) checkInstallModes(fail report) {
	modes := map[string]bool{}
	for _, mode := range b.CSV.Spec.InstallModes {
		modes[mode.Type] = mode.Supported
	}
	want := map[string]bool{"OwnNamespace": false, "SingleNamespace": false, "MultiNamespace": false, "AllNamespaces": true}
	if len(b.CSV.Spec.InstallModes) != len(want) || !maps.Equal(modes, want) {
		fail("spec.installModes are %v; want each of the four once, and AllNamespaces alone supported", b.CSV.Spec.InstallModes)
	}
}

// checkInternal: OpenShift's console hides what is owned. OLM does not look at this annotation.
func (b *Bundle) checkInternal(fail report) {
	const key = "operators.operatorframework.io/internal-objects"
	var internal []string
	if err := json.Unmarshal([]byte(b.CSV.Annotations[key]), &internal); err != nil {
		fail("annotation %s: want a list of names: %w", key, err)
	}
	for _, name := range internal {
		if !slices.ContainsFunc(b.CSV.Spec.CRDs.Owned, func(o OwnedCRD) bool { return o.Name == name }) {
			fail("annotation %s: CRD %s is not owned", key, name)
		}
	}
}

// checkNamespace: the console makes a namespace that the agents can run in. OLM does not look at this annotation either.
func (b *Bundle) checkNamespace(fail report) {
	const key = "operatorframework.io/suggested-namespace-template"
	var namespace corev1.Namespace
	if err := yaml.UnmarshalStrict([]byte(b.CSV.Annotations[key]), &namespace); err != nil {
		fail("annotation %s: want a Namespace: %w", key, err)
	}
	if level := namespace.Labels["pod-security.kubernetes.io/enforce"]; level != "privileged" {
		fail("annotation %s: label pod-security.kubernetes.io/enforce is %q; want privileged, which the agents need", key, level)
	}
}

// foreign are the kinds which OLM takes in a bundle, and which fail to install on a cluster that does not know them.
var foreign = []string{"ConsoleYAMLSample", "PrometheusRule", "ServiceMonitor", "VerticalPodAutoscaler"}

// checkKinds: every cluster knows the kind of each manifest.
func (b *Bundle) checkKinds(fail report) {
	for _, object := range b.Manifests {
		if slices.Contains(foreign, object.GetKind()) {
			fail("%s %s: not every cluster knows this kind, and OLM fails to install the bundle where it is missing", object.GetKind(), object.GetName())
		}
	}
}

// checkRequests: each container says what it needs, or a quota can refuse its Pod.
func (b *Bundle) checkRequests(fail report) {
	for _, d := range b.CSV.Spec.Install.Spec.Deployments {
		pod := d.Spec.Template.Spec
		for _, container := range slices.Concat(pod.Containers, pod.InitContainers) {
			for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				if quantity := container.Resources.Requests[resource]; quantity.IsZero() {
					fail("Deployment %s: container %s has no resources.requests.%s", d.Name, container.Name, resource)
				}
			}
		}
	}
}

// checkImages: of a release, each image is named by what is in it.
func (b *Bundle) checkImages(fail report) {
	images := b.CSV.Spec.RelatedImages
	byDigest := func(image RelatedImage) bool { return strings.Contains(image.Image, "@sha256:") }
	if slices.ContainsFunc(images, byDigest) && slices.ContainsFunc(images, func(image RelatedImage) bool { return !byDigest(image) }) {
		fail("spec.relatedImages are by digest and by tag %v; want either", images)
	}
}
