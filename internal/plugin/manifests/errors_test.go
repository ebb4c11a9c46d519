// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/plugin/render"
)

const more = "more follows the first object of this document"

// mistakes are documents that no API server takes, with what the error says about each.
var mistakes = []struct {
	name, text, reason string
}{
	{"an unknown field of the entry", plugintest.Set("a", "s.com", "m.local") + "    mirror: x\n", `ImageDigestMirrorSet "a": unknown field "spec.imageDigestMirrors[0].mirror"`},
	{"an unknown field of the object", setA + "specs: {}\n", `ImageDigestMirrorSet "a": unknown field "specs"`},
	{"two unknown fields", setA + "one: 1\ntwo: 2\n", `unknown field "one"; unknown field "two"`},
	{"a field in the wrong case", strings.Replace(setA, "imageDigestMirrors", "imagedigestmirrors", 1), `unknown field "spec.imagedigestmirrors"`},
	{"a kind in the wrong case", strings.Replace(setA, "kind", "Kind", 1), `unknown field "Kind"`},
	{"an alpha version", strings.Replace(setA, "io/v1", "io/v1alpha1", 1), `apiVersion "config.openshift.io/v1alpha1" does not have kind ImageDigestMirrorSet; want config.openshift.io/v1`},
	{"another group", strings.Replace(setA, "config.", "operator.", 1), `apiVersion "operator.openshift.io/v1" does not have kind ImageDigestMirrorSet`},
	{"a typed list of another group", "apiVersion: v1\nkind: ImageDigestMirrorSetList\nitems: []\n", `apiVersion "v1" does not have kind ImageDigestMirrorSetList`},
	{"a field twice", setA + "spec: {}\n", `key "spec" already set in map`},
	{"mirrors of the wrong type", strings.Replace(setA, "[m.local]", "m.local", 1), "cannot unmarshal string"},
	{"a name that is a number", strings.Replace(setA, "name: a", "name: 10", 1), "cannot unmarshal number"},
	{"no name", strings.Replace(setA, "name: a", "labels: {}", 1), `metadata.name: required`},
	{"a name that no API server takes", strings.Replace(setA, "name: a", "name: A_b", 1), `metadata.name "A_b": a lowercase RFC 1123 subdomain`},
	{"no spec", ourType + "metadata:\n  name: a\n", `ImageDigestMirrorSet "a": spec: required`},
	{"a null spec", ourType + "metadata:\n  name: a\nspec:\n", `ImageDigestMirrorSet "a": spec: required`},
	{"no kind", "apiVersion: v1\n", "apiVersion and kind are required"},
	{"no apiVersion", "kind: ImageDigestMirrorSet\n", "apiVersion and kind are required"},
	{"a kind that is a number", "apiVersion: v1\nkind: 1\n", "cannot unmarshal number"},
	{"a sequence", "- a\n", "not a Kubernetes object"},
	{"a scalar", "hello\n", "not a Kubernetes object"},
	{"no YAML", "a: b: c\n", "yaml: mapping values are not allowed"},
	{"a tab as indentation", "a:\n\tb: c\n", "yaml: line 2: found character that cannot start any token"},
	{"binary", "\x00\x01\x02", "yaml: control characters are not allowed"},
	{"broken JSON", strings.TrimSuffix(inJSON, "}"), "yaml: line"},
	{"content behind a separator", "--- {a: b}\n", "invalid Yaml document separator"},
	{"an unknown field in a list", list + indented(setB) + indented(setA+"specs: {}\n"), `items[1]: ImageDigestMirrorSet "a": unknown field "specs"`},
	{"an unknown field of a list", list + indented(setA) + "item: []\n", `unknown field "item"`},
	{"a scalar in a list", list + "- hello\n", "items[0]: "},
	{"an untyped item in a list", list + indented("metadata:\n  name: b\n"+justSpec), "items[0]: not a Kubernetes object"},
	{"a null item in a typed list", typedList + "- null\n", `items[0]: ImageDigestMirrorSet: metadata.name: required`},
	{"items that are no sequence", list[:strings.Index(list, "items")] + "items: {}\n", "items"},

	// What a YAML parser leaves unread behind the first document would be lost in silence.
	{"a second object behind an end marker", setA + "...\n" + setB, more},
	{"two JSON objects in a row", inJSON + "\n" + inJSON, more},
	{"a brace too many", inJSON + "}\n", more},
	{"line ends of old Macs", strings.ReplaceAll(both, "\n", "\r"), more},
	{"a separator between line ends of mainframes", setA + "\u0085---\u0085" + setB, more},
	{"two documents in UTF-16", utf16(both), more},
}

// utf16 writes ASCII text as UTF-16 with a byte order mark.
func utf16(text string) string {
	out := []byte{0xFE, 0xFF}
	for i := range len(text) {
		out = append(out, 0, text[i])
	}
	return string(out)
}

func TestMistakesNameFileDocumentAndReason(t *testing.T) {
	for _, tt := range mistakes {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			file := write(t, folder, "x.yaml", tt.text)
			run(t, tt.text, "render", "-f", "-").WantError(t, "standard input: document 1: ", tt.reason)
			run(t, "", "render", "-f", file).WantError(t, file+": document 1: ", tt.reason)
			run(t, "", "render", "-f", folder).WantError(t, file+": document 1: ", tt.reason)
			run(t, "", "explain", "s.com/x:1", "-f", file, "-o", "json").WantError(t, file+": document 1: ", tt.reason)
			if strings.HasPrefix(tt.text, "---") || tt.text[0] > 0x7F {
				return // has to stand first
			}
			second := write(t, folder, "second", setB+"---\n# comment\n---\n"+tt.text)
			run(t, "", "render", "-f", file+"none", "-f", second).WantError(t, file+"none: no such file or directory")
			run(t, "", "render", "-f", second).WantError(t, second+": document 3: ", tt.reason)
		})
	}
}

func TestPlacesThatCannotBeReadAreNamed(t *testing.T) {
	folder := t.TempDir()
	dangling := filepath.Join(folder, "dangling.yaml")
	if err := os.Symlink(filepath.Join(folder, "none"), dangling); err != nil {
		t.Fatal(err)
	}
	write(t, folder, "good.yaml", setA)
	empty := t.TempDir()
	write(t, empty, "README.md", "no manifest")
	for _, tt := range []struct {
		name, path, reason string
	}{
		{"no such file", filepath.Join(folder, "none.yaml"), "none.yaml: no such file or directory"},
		{"no such folder", filepath.Join(folder, "none", "x.yaml"), "x.yaml: no such file or directory"},
		{"a folder without manifests", empty, empty + ": no file in this directory ends in .yaml, .yml or .json"},
		{"a link to nothing in a folder", folder, dangling + ": no such file or directory"},
		{"an empty name", "", "no such file or directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, "", "render", "-f", tt.path).WantError(t, tt.reason)
			run(t, setA, "render", "-f", "-", "-f", tt.path).WantError(t, tt.reason)
		})
	}
}

func TestAStandardInputThatBreaksOffIsAnError(t *testing.T) {
	broken := errors.New("the pipe broke")
	cmd := plugintest.Program(render.Command())
	cmd.SetArgs([]string{"render", "-f", "-"})
	cmd.SetIn(iotest.ErrReader(broken))
	var stdout strings.Builder
	cmd.SetOut(&stdout)
	cmd.SetErr(&stdout)
	err := cmd.Execute()
	if !errors.Is(err, broken) || !strings.HasPrefix(fmt.Sprint(err), "standard input: document 1: ") || stdout.Len() > 0 {
		t.Errorf("error %v, output %q", err, stdout.String())
	}
}
