// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
)

// describe is what a catalog has to say of a bundle, in the form that opm prints of the bundle's image.
func (b *Bundle) describe(image string) (Released, error) {
	properties := []Property{}
	add := func(kind string, value any) error {
		text, err := encode(value)
		properties = append(properties, Property{kind, text})
		return err
	}
	for _, owned := range b.CSV.Spec.CRDs.Owned {
		_, group := owned.names()
		if err := add("olm.gvk", map[string]string{"group": group, "kind": owned.Kind, "version": owned.Version}); err != nil {
			return Released{}, err
		}
	}
	if err := add(schemaPackage, map[string]string{"packageName": PackageName, "version": b.CSV.Spec.Version}); err != nil {
		return Released{}, err
	}
	if err := add("olm.csv.metadata", b.metadata()); err != nil {
		return Released{}, err
	}
	related := append([]RelatedImage{{Image: image}}, b.CSV.Spec.RelatedImages...)
	slices.SortFunc(related, func(x, y RelatedImage) int { return cmp.Or(cmp.Compare(x.Image, y.Image), cmp.Compare(x.Name, y.Name)) })
	return Released{Schema: schemaBundle, Package: PackageName, Name: b.CSV.Name, Image: image, Properties: properties, RelatedImages: related}, nil
}

// metadata is that part of the ClusterServiceVersion that people are shown.
func (b *Bundle) metadata() map[string]any {
	spec := b.raw["spec"].(map[string]any)
	shown := map[string]any{
		"annotations":           b.CSV.Annotations,
		"labels":                b.CSV.Labels,
		"apiServiceDefinitions": map[string]any{},
		"crdDescriptions":       spec["customresourcedefinitions"],
	}
	for _, field := range []string{"description", "displayName", "installModes", "keywords", "links", "maintainers", "maturity", "minKubeVersion", "provider"} {
		shown[field] = spec[field]
	}
	return shown
}

// describePackage is what a catalog says of the operator as a whole: what its newest bundle does.
func (b *Bundle) describePackage(defaultChannel string) Package {
	return Package{
		Schema: schemaPackage, Name: PackageName, DefaultChannel: defaultChannel,
		Description: b.CSV.Annotations["description"], Icon: b.raw["spec"].(map[string]any)["icon"].([]any)[0],
	}
}

// encode writes JSON with every letter as it is.
func encode(value any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimSpace(text.Bytes()), err
}
