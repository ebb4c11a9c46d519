// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// NamedIn returns all images that a Pod needs, those of volumes too.
func NamedIn(spec *corev1.PodSpec) (images []string) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			images = append(images, containers[i].Image)
		}
	}
	for i := range spec.Volumes {
		if volume := spec.Volumes[i].Image; volume != nil {
			images = append(images, volume.Reference)
		}
	}
	for i := range spec.EphemeralContainers {
		images = append(images, spec.EphemeralContainers[i].Image)
	}
	return images
}

// OfPod are the images that a Pod names, and those that its containers run by digest.
type OfPod []mirrors.Reference

// ReadPod returns them. It leaves out what no runtime could pull.
func ReadPod(pod *corev1.Pod) (of OfPod) {
	names := NamedIn(&pod.Spec)
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range statuses {
			if strings.Contains(statuses[i].ImageID, "@") { // else it is the ID of a configuration, and no name
				names = append(names, statuses[i].ImageID)
			}
		}
	}
	for _, name := range names {
		if ref, err := mirrors.ParseReference(name); err == nil && !slices.Contains(of, ref) {
			of = append(of, ref)
		}
	}
	return of
}

// Have reports whether one of them is this image, as an access log has it: by the same tag or digest, or in the same repository where the log does not
// know either.
func (of OfPod) Have(image string) bool {
	pulled, err := mirrors.ParseReference(image)
	if err != nil {
		return false
	}
	isBare := pulled.Name == image // for which a tag was made up
	return slices.ContainsFunc(of, func(ref mirrors.Reference) bool {
		return ref.Name == pulled.Name && (isBare || ref.Suffix == pulled.Suffix)
	})
}
