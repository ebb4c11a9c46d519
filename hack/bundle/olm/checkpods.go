// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// kinds are those that every OLM takes that runs on a Kubernetes this project supports, beside the CSV. Later ones take a few more.
var kinds = []string{
	"ClusterRole", "ClusterRoleBinding", "ConfigMap", "ConsoleYAMLSample", "CustomResourceDefinition", "PodDisruptionBudget", "PriorityClass",
	"PrometheusRule", "Role", "RoleBinding", "Secret", "Service", "ServiceAccount", "ServiceMonitor", "VerticalPodAutoscaler",
}

// foreign are those among them that fail to install on a cluster which does not know their kind.
var foreign = []string{"ConsoleYAMLSample", "PrometheusRule", "ServiceMonitor", "VerticalPodAutoscaler"}

// checkKinds: OLM takes each manifest, on every cluster, in every namespace.
func (b *Bundle) checkKinds() (broken []error) {
	for _, object := range b.Manifests {
		fail := func(why string) {
			broken = append(broken, fmt.Errorf("%s %s: %s", object.GetKind(), object.GetName(), why))
		}
		switch kind := object.GetKind(); {
		case !slices.Contains(kinds, kind):
			fail("OLM takes no manifest of this kind in a bundle")
		case slices.Contains(foreign, kind):
			fail("not every cluster knows this kind, and OLM fails to install the bundle where it is missing")
		}
		if object.GetNamespace() != "" {
			fail("metadata.namespace is set; OLM installs into the namespace that the user chooses")
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

// checkContainers: each says what it needs, or a quota can refuse its Pod.
func (b *Bundle) checkContainers() (broken []error) {
	if len(b.CSV.Spec.Install.Spec.Deployments) == 0 {
		broken = append(broken, fmt.Errorf("ClusterServiceVersion %s: spec.install.spec.deployments is empty, so there is nothing to run", b.CSV.Name))
	}
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
