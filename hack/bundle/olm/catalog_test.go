// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm_test

import (
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/hack/bundle/olm"
)

// Each rule of the catalog, with one change that breaks it.
func TestABrokenCatalogIsRefused(t *testing.T) {
	const (
		head  = "- name: mirrorset.v0.1.0-dev\n"
		fast  = "name: fast\npackage: mirrorset\nschema: olm.channel\n---\n"
		other = "---\nimage: x\nname: mirrorset.v0.0.9\npackage: mirrorset\nproperties: []\nrelatedImages: []\nschema: olm.bundle\n---\n"
	)
	for name, c := range map[string]struct{ old, text, want string }{
		"two heads":                  {head, head + "- name: mirrorset.v0.0.9\n" + "", `channel candidate: the heads are ["mirrorset.v0.1.0-dev" "mirrorset.v0.0.9"]; want one`},
		"no head":                    {head, "- name: mirrorset.v0.1.0-dev\n  replaces: mirrorset.v0.1.0-dev\n", "channel candidate: the heads are []; want one"},
		"replaces what is not there": {head, "- name: mirrorset.v0.1.0-dev\n  replaces: mirrorset.v0.0.9\n", "mirrorset.v0.0.9 is replaced, and is not in the channel"},
		"bundle that there is not":   {head, "- name: mirrorset.v0.1.0-dev\n  replaces: mirrorset.v0.0.9\n- name: mirrorset.v0.0.9\n", "channel candidate: there is no bundle mirrorset.v0.0.9"},
		"entry twice":                {head, head + head, "channel candidate: bundle mirrorset.v0.1.0-dev is there twice"},
		"circle beside the head":     {head, head + "- name: mirrorset.v0.0.8\n  replaces: mirrorset.v0.0.9\n- name: mirrorset.v0.0.9\n  replaces: mirrorset.v0.0.8\n", "no way of upgrades leads from mirrorset.v0.0.8 to mirrorset.v0.1.0-dev"},
		"channel of another package": {"name: candidate\npackage: mirrorset", "name: candidate\npackage: other", `it is of package "other"`},
		"bundle in no channel":       {fast, fast + other[4:], "bundle mirrorset.v0.0.9 is in no channel"},
		"bundle twice":               {fast, fast + strings.ReplaceAll(other[4:], "v0.0.9", "v0.1.0-dev"), "bundle mirrorset.v0.1.0-dev is there twice"},
		"no default channel":         {"defaultChannel: stable", "defaultChannel: alpha", `there is no channel "alpha"`},
		"another package":            {"name: mirrorset\nschema: olm.package", "name: other\nschema: olm.package", `the package is called "other"`},
		"two packages":               {"---\n", "---\nschema: olm.package\nname: other\n---\n", "there are two parts of schema olm.package"},
		"schema that there is not":   {"---\n", "---\nschema: olm.other\n---\n", `there is no schema "olm.other"`},
		"field that there is not":    {"defaultChannel: ", "other: 1\ndefaultChannel: ", `unknown field "other"`},
		"bundle missing":             {"name: mirrorset.v0.1.0-dev\npackage", "name: mirrorset.v0.0.9\npackage", "bundle mirrorset.v0.1.0-dev: it is missing"},
		"bundle without an image":    {"image: ghcr.io/mirrorset/mirrorset-bundle:v0.1.0-dev\nname", "image: ''\nname", "image is empty"},
		"image not related":          {"- image: ghcr.io/mirrorset/mirrorset-bundle:v0.1.0-dev\n  name: \"\"\n", "", "relatedImages are"},
		"another version":            {"    version: 0.1.0-dev\n", "    version: 0.1.0\n", "property olm.package is not what the bundle says"},
		"another kind":               {"    group: mirrorset.io\n", "    group: other.io\n", "property olm.gvk is not what the bundle says"},
		"another description":        {"displayName: Mirrorset\n", "displayName: Other\n", "property olm.csv.metadata is not what the bundle says"},
		"property too many":          {"- type: olm.package\n", "- type: olm.other\n  value: 1\n- type: olm.package\n", "it has 4 properties; want 3"},
	} {
		t.Run(name, func(t *testing.T) {
			files := first(t)
			replace(t, files, olm.CatalogFile, c.old, c.text)
			if err := check(files); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v; want one with %s", err, c.want)
			}
		})
	}
}

// What the bundle and the catalog have to say alike, with one change of the bundle.
func TestABundleThatItsCatalogContradictsIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, old, text, want string }{
		"default channel":   {annotations, "default.v1: stable", "default.v1: fast", `its default channel is "fast"; want "stable"`},
		"replaced in one":   {csv, "\nspec:\n", "\nspec:\n  replaces: mirrorset.v0.0.9\n", `in channel stable it replaces ""; want "mirrorset.v0.0.9"`},
		"images of the CSV": {csv, "relatedImages:\n  - image: ghcr.io/mirrorset/mirrorset:v0.1.0-dev", "relatedImages:\n  - image: ghcr.io/mirrorset/other:v0.1.0-dev", "want its own image and those of the CSV"},
	} {
		t.Run(name, func(t *testing.T) {
			files := first(t)
			replace(t, files, c.file, c.old, c.text)
			if err := check(files); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v; want one with %s", err, c.want)
			}
		})
	}
	files := first(t)
	replace(t, files, olm.CatalogFile, "name: fast\npackage", "name: slow\npackage")
	if err := check(files); err == nil || !strings.Contains(err.Error(), `channel fast ends with ""; want this bundle`) {
		t.Errorf("the error is %v; want one about channel fast", err)
	}
}
