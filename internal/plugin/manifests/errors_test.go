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

const more = "more text follows the first object of this document, and kubectl would ignore it"

// mistake is a document, and what is said about it.
type mistake struct {
	name, text, reason string
}

// refusedDocuments are those that the API server does not take, or kubectl before it.
var refusedDocuments = []mistake{
	{"an unknown field of the entry", plugintest.Set("a", "s.com", "m.local") + "    mirror: x\n", `ImageDigestMirrorSet "a": unknown field "spec.imageDigestMirrors[0].mirror"; did you mean "mirrors"?`},
	{"an unknown field of the object", setA + "specs: {}\n", `ImageDigestMirrorSet "a": unknown field "specs"; did you mean "spec"?`},
	{"an unknown field that is like no other", setA + "  policy: x\n", `ImageDigestMirrorSet "a": unknown field "spec.policy"; delete it, or use a field that exists: imageDigestMirrors`},
	{"an unknown field of the metadata", strings.Replace(setA, "name: a", "name: a\n  label: x", 1), `unknown field "metadata.label"; delete it`},
	{"a field in the wrong case", strings.Replace(setA, "imageDigestMirrors", "imagedigestmirrors", 1), `unknown field "spec.imagedigestmirrors"; did you mean "imageDigestMirrors"?`},
	{"the field of the other kind", strings.Replace(setA, "imageDigestMirrors", "imageTagMirrors", 1), `unknown field "spec.imageTagMirrors"`},
	{"a key in the wrong case", strings.Replace(setA, "kind", "Kind", 1), "not a Kubernetes object: apiVersion and kind are required"},
	{"a kind in the wrong case", strings.Replace(setA, "MirrorSet", "Mirrorset", 1), `ImageDigestMirrorset "a": apiVersion "config.openshift.io/v1" does not have kind ImageDigestMirrorset; write config.openshift.io/v1, kind ImageDigestMirrorSet`},
	{"a kind in the plural", strings.Replace(setA, "MirrorSet", "MirrorSets", 1), `write config.openshift.io/v1, kind ImageDigestMirrorSet`},
	{"a kind with a letter less", strings.Replace(setA, "ImageDigest", "ImageDigst", 1), `write config.openshift.io/v1, kind ImageDigestMirrorSet`},
	{"a kind with a letter less and little left of it", strings.Replace(setA, "ImageDigestMirrorSet", "ImageTagMirorSet", 1), `does not have kind ImageTagMirorSet; write config.openshift.io/v1, kind ImageTagMirrorSet`},
	{"a short name as the kind", strings.Replace(setA, "ImageDigestMirrorSet", "ITMS", 1), `write config.openshift.io/v1, kind ImageTagMirrorSet`},
	{"a kind that the group does not have", strings.Replace(setA, "ImageDigestMirrorSet", "ImageMirrorConfig", 1), `apiVersion "config.openshift.io/v1" does not have kind ImageMirrorConfig`},
	{"an alpha version", strings.Replace(setA, "io/v1", "io/v1alpha1", 1), `apiVersion "config.openshift.io/v1alpha1" does not have kind ImageDigestMirrorSet; write config.openshift.io/v1`},
	{"another group", strings.Replace(setA, "config.", "operator.", 1), `apiVersion "operator.openshift.io/v1" does not have kind ImageDigestMirrorSet`},
	{"a group of nobody's", strings.Replace(setA, "config.openshift.io", "mirrorset.io", 1), `apiVersion "mirrorset.io/v1" does not have kind ImageDigestMirrorSet`},
	{"a typed list of another group", "apiVersion: v1\nkind: ImageDigestMirrorSetList\nitems: []\n", `apiVersion "v1" does not have kind ImageDigestMirrorSetList`},
	{"mirrors of the wrong type", strings.Replace(setA, "[m.local]", "m.local", 1), `spec.imageDigestMirrors[0].mirrors: the value must be a list, and is the text "m.local"`},
	{"a mirror that is a number", strings.Replace(setA, "[m.local]", "[5000]", 1), `spec.imageDigestMirrors[0].mirrors[0]: the value must be text, and is 5000`},
	{"an entry that is null", ourType + "metadata:\n  name: a\nspec:\n  imageDigestMirrors: [null]\n", `spec.imageDigestMirrors[0]: the value must be a mapping, and is null`},
	{"entries that are no list", ourType + "metadata:\n  name: a\nspec:\n  imageDigestMirrors: {source: s.com}\n", `spec.imageDigestMirrors: the value must be a list, and is a mapping`},
	{"a spec that is a list", ourType + "metadata:\n  name: a\nspec: []\n", `spec: the value must be a mapping, and is a list`},
	{"a mirror twice", plugintest.Set("a", "s.com", "m.local", "n.local", "m.local"), `spec.imageDigestMirrors[0].mirrors[2]: "m.local" is repeated`},
	{"an entry without a source", ourType + "metadata:\n  name: a\nspec:\n  imageDigestMirrors:\n  - mirrors: [m.local]\n", `spec.imageDigestMirrors[0].source: the field is required and missing`},
	{"an empty policy", setA + "    mirrorSourcePolicy: ''\n", `spec.imageDigestMirrors[0].mirrorSourcePolicy "": use one of: "NeverContactSource", "AllowContactingSource", or leave it out`},
	{"a policy in the wrong case", setA + "    mirrorSourcePolicy: neverContactSource\n", `spec.imageDigestMirrors[0].mirrorSourcePolicy "neverContactSource": use one of`},
	{"a name that is a number", strings.Replace(setA, "name: a", "name: 10", 1), "metadata.name: the value must be text, in quotes, and is a number"},
	{"a label that is a number", strings.Replace(setA, "name: a", "name: a\n  labels: {x: 1}", 1), "metadata.labels: the value must be text, in quotes, and is a number"},
	{"a label that no API server takes", strings.Replace(setA, "name: a", "name: a\n  labels: {x: a b}", 1), `metadata.labels "a b": a valid label must`},
	{"no name", strings.Replace(setA, "name: a", "labels: {}", 1), "metadata.name: the field is required"},
	{"a name to be made", strings.Replace(setA, "name: a", "generateName: a-", 1), "metadata.name: the field is required and missing, because kubectl apply identifies an object by its name"},
	{"a name that no API server takes", strings.Replace(setA, "name: a", "name: A_b", 1), `metadata.name "A_b": a lowercase RFC 1123 subdomain`},
	{"a time that is none", strings.Replace(setA, "name: a", "name: a\n  creationTimestamp: yesterday", 1), `metadata.creationTimestamp "yesterday": the value must be a time such as 2006-01-02T15:04:05Z`},
	{"an identity that is none", strings.Replace(setA, "name: a", "name: a\n  ownerReferences: [{uid: y}]", 1), "metadata.ownerReferences.uid: the value must be text, in quotes, and is true or false"},
	{"a list in a list", list + indented(typedList+indented(setA)) + indented(setB), "items[0] is a list in a list"},
	{"a plain list in a list", list + indented(list+indented(setA)) + indented(setB), "items[0] is a list in a list"},
	{"a kind in the list of another", typedList + indented(strings.Replace(setA, "ImageDigestMirrorSet", "ImageTagMirrorSet", 1)), "items[0] is not a ImageDigestMirrorSet, and kubectl applies nothing from such a list"},
	{"no spec", ourType + "metadata:\n  name: a\n", `ImageDigestMirrorSet "a": spec: the field is required`},
	{"a null spec", ourType + "metadata:\n  name: a\nspec:\n", `ImageDigestMirrorSet "a": spec: the field is required`},
	{"no kind", "apiVersion: v1\n", "apiVersion and kind are required"},
	{"no apiVersion", "kind: ImageDigestMirrorSet\n", "apiVersion and kind are required"},
	{"a kind that is a number", "apiVersion: v1\nkind: 1\n", "kind: 1 is not text"},
	{"a sequence", "- a\n", "not a Kubernetes object: a mapping with apiVersion and kind is required"},
	{"a scalar", "hello\n", "not a Kubernetes object: a mapping with apiVersion and kind is required"},
	{"an unknown field in a list", list + indented(setA+"specs: {}\n"), `ImageDigestMirrorSet "a": unknown field "specs"`},
	{"a scalar in a list", list + "- hello\n", "not a Kubernetes object"},
	{"an untyped item in a list", list + indented("metadata:\n  name: b\n"+justSpec), "not a Kubernetes object"},
	{"a null item in a typed list", typedList + "- null\n", "not a Kubernetes object"},
	{"items that are no sequence", list[:strings.Index(list, "items")] + "items: {}\n", "List without a list of items"},
	{"items by another name", list[:strings.Index(list, "items")] + "item: []\n", "List without a list of items"},
}

// wrongLocations are sources and mirrors that no API server takes, with the part that is wrong.
var wrongLocations = map[string]string{
	"https://quay.io": `it begins with the scheme "https://"; write "quay.io"`,
	"quay.io/a@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706": `it ends with the digest "@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706"; write "quay.io/a"`,
	"quay.io:443/a:v1": `it ends with the tag ":v1"; write "quay.io:443/a"`,
	"[fe80::1]:5000/a": "it has an IPv6 address",
	"fe80::1":          "it has an IPv6 address",
	"quay.io/Team":     "it has capital letters in its path",
	"quay.io/a/":       `it ends with a slash; write "quay.io/a"`,
	"quay.io//a":       "it has two slashes in a row",
	"quay.io/a b":      "it has a space",
	"":                 "it is empty",
	"quay_io/a":        `its host "quay_io" is not made of letters`,
}

func TestTheWrongPartOfALocationIsNamed(t *testing.T) {
	for location, want := range wrongLocations {
		wantRefused(t, run(t, plugintest.Set("a", location, "m.local"), "render", "-f", "-"), fmt.Sprintf("line 7: ImageDigestMirrorSet \"a\": spec.imageDigestMirrors[0].source %q: %s", location, want))
		wantRefused(t, run(t, plugintest.Set("a", "s.com", "'"+location+"'"), "render", "-f", "-"), fmt.Sprintf("spec.imageDigestMirrors[0].mirrors[0] %q: %s", location, want))
	}
	r := run(t, plugintest.Set("a", "*.io/x", "'*.m.local'"), "render", "-f", "-")
	for _, want := range []string{"it has a wildcard, which a mirror cannot have", "it has a port or a path after a wildcard"} {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("%q lacks %q", r.Stderr, want)
		}
	}
}

// unreadable are documents that no parser takes, and those of which it would leave a part unread.
var unreadable = []mistake{
	{"no YAML", "a: b: c\n", "yaml: mapping values are not allowed"},
	{"a tab as indentation", "a:\n\tb: c\n", ": found character that cannot start any token"},
	{"binary", "\x00\x01\x02", "yaml: control characters are not allowed"},
	{"broken JSON", strings.TrimSuffix(inJSON, "}"), "yaml: line"},
	{"a key that is a list", "? [a]\n: b\n", "a key of a mapping is a list, a mapping or empty"},
	{"a key that is a mapping", "? {a: b}\n: b\n", "a key of a mapping is a list, a mapping or empty"},
	{"an empty key", "~: b\n", "a key of a mapping is a list, a mapping or empty"},
	{"a template", "a: {{ .Values.a }}\n{{ if x }}b: c\n", "this looks like a template"},
	{"content behind a separator", "--- {a: b}\n", "invalid Yaml document separator"},

	// What a YAML parser leaves unread behind the first document would be lost in silence.
	{"a second object behind an end marker", setA + "...\n" + setB, more},
	{"line ends of old Macs", strings.ReplaceAll(both, "\n", "\r"), more},
	{"a separator between line ends of mainframes", setA + "\u0085---\u0085" + setB, more},
}

// utf16 writes ASCII text as UTF-16 with a byte order mark.
func utf16(text string) string {
	out := []byte{0xFE, 0xFF}
	for i := range len(text) {
		out = append(out, 0, text[i])
	}
	return string(out)
}

// wantRefused checks that nothing is printed but why the one object is refused, with all the texts.
func wantRefused(t *testing.T, r plugintest.Result, texts ...string) {
	t.Helper()
	const end = "error: 1 object would be refused (see above), and there is no other set\n"
	if r.Code != 1 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "refused: ") || !strings.HasSuffix(r.Stderr, end) {
		t.Fatalf("exit code %d, stdout %q, stderr %q; want a refusal alone", r.Code, r.Stdout, r.Stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("%q lacks %q", r.Stderr, text)
		}
	}
}

func TestRefusalsNameFileDocumentAndReason(t *testing.T) {
	for _, tt := range refusedDocuments {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			file := write(t, folder, "x.yaml", tt.text)
			wantRefused(t, run(t, tt.text, "render", "-f", "-"), "standard input: document 1", tt.reason)
			wantRefused(t, run(t, "", "render", "-f", folder), file+": document 1", tt.reason)
			wantRefused(t, run(t, "", "explain", "s.com/x:1", "-f", file, "-o", "json"), file+": document 1", tt.reason)
			second := write(t, folder, "second", setB+"---\n# comment\n---\n"+tt.text)
			r := run(t, "", "render", "-f", second)
			if got := strings.Join(sourcesIn(r.Stdout), " "); r.Code != 1 || got != "t.com" {
				t.Errorf("exit code %d, sources %q; want what kubectl apply still applies", r.Code, got)
			}
			for _, want := range []string{"refused: " + second + ": document 3", tt.reason, "error: 1 object would be refused (see above), so the answer leaves it out; if the cluster has an older version, that version stays in force\n"} {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("%q lacks %q", r.Stderr, want)
				}
			}
		})
	}
}

func TestARefusalNamesTheLineOfTheField(t *testing.T) {
	r := run(t, "# one\n---\n---\n# two\n"+setB+"---\n"+plugintest.Set("a", "s.com", "m.local", "m.local")+"    x: 1\n", "render", "-f", "-")
	for _, want := range []string{`document 3: line 21: ImageDigestMirrorSet "a": spec.imageDigestMirrors[0].mirrors[1]: `, `document 3: line 22: ImageDigestMirrorSet "a": unknown field`} {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("%q lacks %q", r.Stderr, want)
		}
	}
	for _, text := range []string{setA + "x: 1\n---\n" + setB, setA + "x: 1\n---\n", setA + "x: 1\n---", "---\n" + setA + "x: 1"} {
		want := fmt.Sprintf("line %d: ", 9+strings.Count(text[:4], "-")/3)
		if r := run(t, text, "render", "-f", "-"); !strings.Contains(r.Stderr, "document 1: "+want) {
			t.Errorf("%q: %q lacks %q", text, r.Stderr, want)
		}
	}
	r = run(t, "\n"+inJSON+"\n"+strings.Replace(inJSON, `"s.com"`, `"s.com/"`, 1), "render", "-f", "-")
	if want := "document 2: line 5: "; !strings.Contains(r.Stderr, want) {
		t.Errorf("%q lacks %q", r.Stderr, want)
	}
}

func TestUnreadableDocumentsNameFileAndLine(t *testing.T) {
	for _, tt := range unreadable {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			file := write(t, folder, "x.yaml", tt.text)
			run(t, tt.text, "render", "-f", "-").WantError(t, "standard input: document 1: ", "line ", tt.reason)
			run(t, "", "render", "-f", folder).WantError(t, file+": document 1: ", tt.reason)
			run(t, "", "explain", "s.com/x:1", "-f", file, "-o", "json").WantError(t, file+": document 1: ", tt.reason)
			if strings.HasPrefix(tt.text, "---") {
				return // has to stand first
			}
			second := write(t, folder, "second", setB+"---\n# comment\n---\n"+tt.text)
			run(t, "", "render", "-f", file+"none", "-f", second).WantError(t, file+"none: no such file or directory")
			run(t, "", "render", "-f", second).WantError(t, second+": document 3: ", tt.reason)
		})
	}
	third := "{}\n" + inJSON + "\n" + inJSON + "\n{"
	run(t, third, "render", "-f", "-").WantError(t, "standard input: document 4: line 6: unexpected EOF")
	run(t, setA+"---\n\n# x\na:\n\tb: c\n", "render", "-f", "-").WantError(t, "document 2: yaml: line 13: found character")
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
