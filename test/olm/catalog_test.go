// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package olm_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/operator-framework/operator-registry/alpha/declcfg"
)

const (
	catalog     = "../../catalog"
	catalogFile = "mirrorset/catalog.yaml"
	// opmProgram is what OLM's catalog Pod runs.
	opmProgram = "../../bin/olm/opm"
)

// opm runs opm, and returns what it prints.
func opm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), opmProgram, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("%v: make bin/olm/opm", err)
	}
	return out.String() + errs.String(), err
}

func TestOpmAcceptsTheCatalog(t *testing.T) {
	if said, err := opm(t, "validate", catalog); err != nil {
		t.Error(said)
	}
}

// Each way in which an edited catalog.yaml could break a CatalogSource.
func TestOpmRefusesABrokenCatalog(t *testing.T) {
	const head = "- name: mirrorset.v0.1.0-dev\n"
	for name, c := range map[string]struct{ old, text, want string }{
		"a comment as a part of its own": {"defaultChannel: ", "# A comment.\n---\ndefaultChannel: ", "missing root schema field"},
		"two heads":                      {head, head + "- name: mirrorset.v0.0.9\n", "multiple channel heads"},
		"no head":                        {head, "- name: mirrorset.v0.1.0-dev\n  replaces: mirrorset.v0.1.0-dev\n", "no channel head"},
		"a bundle that there is not":     {head, "- name: mirrorset.v0.1.0-dev\n  replaces: mirrorset.v0.0.9\n- name: mirrorset.v0.0.9\n", "mirrorset.v0.0.9"},
		"an entry twice":                 {head, head + head, "duplicate"},
		"a channel of another package":   {"name: candidate\npackage: mirrorset", "name: candidate\npackage: other", "unknown package"},
		"a bundle in no channel":         {"---\nimage: ", "---\nimage: x\nname: mirrorset.v0.0.9\npackage: mirrorset\nproperties: [{type: olm.package, value: {packageName: mirrorset, version: 0.0.9}}]\nschema: olm.bundle\n---\nimage: ", "not found in any channel entries"},
		"no default channel":             {"defaultChannel: stable", "defaultChannel: alpha", `invalid channel \"alpha\"`},
		"another package":                {"name: mirrorset\nschema: olm.package", "name: other\nschema: olm.package", "unknown package"},
		"no image":                       {"image: ghcr.io/mirrorset/mirrorset-bundle:v0.1.0-dev\nname", "image: ''\nname", "bundle image must be set"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(catalog)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, catalogFile)
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Replace(string(before), c.old, c.text, 1)
			if text == string(before) {
				t.Fatalf("the catalog does not have %q", c.old)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if said, err := opm(t, "validate", dir); err == nil || !strings.Contains(said, c.want) {
				t.Errorf("opm says %q (%v); want an error with %q", said, err, c.want)
			}
		})
	}
}

// The catalog says of the bundle what opm says of it.
func TestTheCatalogDescribesTheBundleAsOpmDoes(t *testing.T) {
	read := func(text string) *declcfg.DeclarativeConfig {
		config, err := declcfg.LoadReader(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	committed, err := os.ReadFile(filepath.Join(catalog, catalogFile))
	if err != nil {
		t.Fatal(err)
	}
	bundles := read(string(committed)).Bundles
	ours := bundles[len(bundles)-1]
	rendered, err := opm(t, "render", bundle, "--alpha-image-ref-template", ours.Image, "--migrate-level", "bundle-object-to-csv-metadata")
	if err != nil {
		t.Fatal(rendered)
	}
	theirs := read(rendered).Bundles[0]
	if got, want := plain(t, ours), plain(t, theirs); !reflect.DeepEqual(got, want) {
		t.Errorf("the catalog says\n%v\nand opm\n%v", got, want)
	}
}

// plain is a value as JSON has it, in which numbers and the order of fields tell nothing apart.
func plain(t *testing.T, value any) (decoded any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &decoded)
	}
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}
