// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schema judges an object by its CustomResourceDefinition, with the API server's own code and in the order of its steps. So
// a verb of kubectl mirrors refuses exactly what kubectl apply would be refused for (docs/adr/0023).
package schema

import (
	"fmt"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/config"
	"github.com/mirrorset/mirrorset/internal/kinds"
)

// Schema is what a CustomResourceDefinition says of one kind.
type Schema struct {
	structural *structuralschema.Structural
	validator  validation.SchemaCreateValidator
	plain      *plain
	rules      *cel.Validator // nil where the schema has no rules in CEL
	hasStatus  bool           // as a resource of its own, so that the status in a manifest is dropped
}

// The schemas of the kinds of sets, which are read once each.
var shipped = func() map[*kinds.Kind]func() (*Schema, error) {
	all := make(map[*kinds.Kind]func() (*Schema, error), len(kinds.All))
	for _, kind := range kinds.All {
		all[kind] = sync.OnceValues(func() (*Schema, error) {
			crd, err := config.CRDs.ReadFile("crd/bases/" + kind.GroupVersionKind().Group + "_" + kind.Resource + ".yaml")
			if err != nil {
				return nil, err
			}
			return Read(crd, kind.GroupVersionKind().Version)
		})
	}
	return all
}()

// Of returns the schema of a kind of sets, by the CRD that Mirrorset brings.
func Of(kind *kinds.Kind) (*Schema, error) {
	return shipped[kind]()
}

// Read returns the schema of one version of a CustomResourceDefinition in YAML.
func Read(crd []byte, version string) (*Schema, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd, &definition); err != nil {
		return nil, err
	}
	for i := range definition.Spec.Versions {
		if v := &definition.Spec.Versions[i]; v.Name == version && v.Schema != nil {
			return ofVersion(v)
		}
	}
	return nil, fmt.Errorf("CustomResourceDefinition %s has no schema of version %s", definition.Name, version)
}

func ofVersion(version *apiextensionsv1.CustomResourceDefinitionVersion) (*Schema, error) {
	var internal apiextensions.CustomResourceValidation
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, &internal, nil); err != nil {
		return nil, err
	}
	s := &Schema{hasStatus: version.Subresources != nil && version.Subresources.Status != nil}
	var err error
	if s.structural, err = structuralschema.NewStructural(internal.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	if s.validator, _, err = validation.NewSchemaValidator(internal.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	s.plain = plainRoot(s.structural, s.hasStatus)
	s.rules = cel.NewValidator(s.structural, true, celconfig.PerCallLimit)
	return s, nil
}
