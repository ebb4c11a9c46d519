// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// annotated reads an annotation of Chart.yaml for Artifact Hub that is a YAML list.
func annotated[T any](t *testing.T, name string) (list []T) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(load3(t).Metadata.Annotations["artifacthub.io/"+name]), &list); err != nil || len(list) == 0 {
		t.Fatalf("artifacthub.io/%s has %d items: %v", name, len(list), err)
	}
	return list
}

// TestArtifactHubShowsWhatIsTrue holds the annotations to the license, the CRDs and the OLM bundle.
func TestArtifactHubShowsWhatIsTrue(t *testing.T) {
	metadata := load3(t).Metadata
	var csv struct {
		Metadata struct{ Annotations map[string]string }
	}
	read(t, "bundle/manifests/mirrorset.clusterserviceversion.yaml", &csv)
	got := maps.Clone(metadata.Annotations)
	for _, list := range []string{"crds", "crdsExamples", "links"} {
		delete(got, "artifacthub.io/"+list)
	}
	want := map[string]string{
		"artifacthub.io/license":              "Apache-2.0",
		"artifacthub.io/category":             map[string]string{"Integration & Delivery": "integration-delivery"}[csv.Metadata.Annotations["categories"]],
		"artifacthub.io/operator":             "true",
		"artifacthub.io/operatorCapabilities": csv.Metadata.Annotations["capabilities"],
		"artifacthub.io/prerelease":           strconv.FormatBool(strings.Contains(metadata.Version, "-")),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	license, err := os.ReadFile(root + "LICENSE")
	if err != nil || !strings.Contains(string(license), "Apache License\n") {
		t.Errorf("LICENSE is another one, or %v", err)
	}
}

func TestArtifactHubShowsTheCRDs(t *testing.T) {
	got := map[string]string{}
	for _, c := range annotated[struct{ Kind, Version, Name, DisplayName, Description string }](t, "crds") {
		got[c.Name] = c.Kind + " " + c.Version
		if c.DisplayName == "" || c.Description == "" {
			t.Errorf("%s is not described", c.Name)
		}
	}
	files, err := filepath.Glob(root + "config/crd/bases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, file := range files {
		var crd apiextensionsv1.CustomResourceDefinition
		read(t, strings.TrimPrefix(file, root), &crd)
		want[crd.Name] = crd.Spec.Names.Kind + " " + crd.Spec.Versions[0].Name
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestArtifactHubsLinksAreOfThisRepository(t *testing.T) {
	for _, link := range annotated[struct{ Name, URL string }](t, "links") {
		_, path, ok := strings.Cut(strings.Replace(link.URL, "/tree/", "/blob/", 1), load3(t).Metadata.Home+"/blob/main/")
		if _, err := os.Stat(root + path); link.Name != "support" && (!ok || err != nil) {
			t.Errorf("%s: %s leads nowhere: %v", link.Name, link.URL, err)
		}
	}
}
