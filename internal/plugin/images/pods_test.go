// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirrorset/mirrorset/internal/plugin/images"
)

func TestThePullsOfAPodAreThoseOfItsImages(t *testing.T) {
	const (
		one = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
		two = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	)
	of := images.ReadPod(&corev1.Pod{
		Spec: corev1.PodSpec{
			InitContainers:      []corev1.Container{{Image: "busybox"}},
			Containers:          []corev1.Container{{Image: "quay.io/shop/web:v1"}, {Image: "quay.io/shop/api:v1@" + one}, {Image: "Not An Image"}},
			Volumes:             []corev1.Volume{{VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "quay.io/shop/data:v1"}}}},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Image: "quay.io/shop/debug:v1"}}},
		},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{ImageID: "quay.io/shop/web@" + two}, {ImageID: one}}},
	})
	for image, want := range map[string]bool{
		"docker.io/library/busybox:latest": true,
		"docker.io/library/busybox:1":      false,
		"quay.io/shop/web:v1":              true,
		"quay.io/shop/web:v2":              false,
		"quay.io/shop/web@" + two:          true,
		"quay.io/shop/web@" + one:          false,
		"quay.io/shop/web":                 true,
		"quay.io/shop/webber":              false,
		"other.io/shop/web:v1":             false,
		"quay.io/shop/api@" + one:          true,
		"quay.io/shop/api:v1":              false,
		"quay.io/shop/data:v1":             true,
		"quay.io/shop/debug:v1":            true,
		"":                                 false,
	} {
		if got := of.Have(image); got != want {
			t.Errorf("%q: %t", image, got)
		}
	}
	if len(of) != 6 {
		t.Errorf("%+v", of)
	}
}
