// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm_test

import (
	"os"
	"strings"
	"testing"

	operatorsv1 "github.com/operator-framework/api/pkg/operators/v1"
	"github.com/operator-framework/api/pkg/operators/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// What docs/how-to/install.md has people apply is of OLM's kinds, and of one installation.
func TestTheDocumentedObjectsAreOLMs(t *testing.T) {
	text, err := os.ReadFile("../../docs/how-to/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "\n```yaml\n")
	block, _, _ = strings.Cut(block, "\n```\n")
	var (
		source       v1alpha1.CatalogSource
		namespace    corev1.Namespace
		group        operatorsv1.OperatorGroup
		subscription v1alpha1.Subscription
	)
	objects := strings.Split(block, "\n---\n")
	for i, object := range []any{&source, &namespace, &group, &subscription} {
		if err := yaml.UnmarshalStrict([]byte(objects[i]), object); err != nil {
			t.Errorf("%v in\n%s", err, objects[i])
		}
	}
	if len(objects) != 4 || source.Kind != "CatalogSource" || namespace.Kind != "Namespace" || group.Kind != "OperatorGroup" || subscription.Kind != "Subscription" {
		t.Fatalf("want a CatalogSource, a Namespace, an OperatorGroup and a Subscription in\n%s", block)
	}
	if s := subscription.Spec; s.CatalogSource != source.Name || s.CatalogSourceNamespace != source.Namespace || s.Package != "mirrorset" || s.Channel != "stable" {
		t.Errorf("the Subscription is to package %s, channel %s, of CatalogSource %s in %s, and that is %s in %s", s.Package, s.Channel, s.CatalogSource, s.CatalogSourceNamespace, source.Name, source.Namespace)
	}
	if group.Namespace != namespace.Name || subscription.Namespace != namespace.Name || len(group.Spec.TargetNamespaces) > 0 {
		t.Errorf("the OperatorGroup is in %s, for %q, and the Subscription in %s; want both in %s, and all namespaces", group.Namespace, group.Spec.TargetNamespaces, subscription.Namespace, namespace.Name)
	}
}
