// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/config"
)

func TestACRDThatLacksAFieldOfTheStatusHasNoRoomForIt(t *testing.T) {
	manifest, err := config.CRDs.ReadFile("crd/bases/config.openshift.io_imagedigestmirrorsets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(manifest, &crd); err != nil || !hasStatus(&crd) {
		t.Fatalf("ours: error %v", err)
	}
	status := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["status"].Properties
	for field, schema := range maps.Clone(status) {
		delete(status, field)
		if hasStatus(&crd) {
			t.Errorf("without %s", field)
		}
		status[field] = schema
	}
}
