// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorset/mirrorset/internal/plugin/explain"
	"github.com/mirrorset/mirrorset/internal/plugin/plugintest"
	"github.com/mirrorset/mirrorset/internal/plugin/render"
)

const (
	bom     = "\uFEFF"
	ourType = "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\n"
	pod     = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n"
	inJSON  = `{"apiVersion": "config.openshift.io/v1", "kind": "ImageDigestMirrorSet", "metadata": {"name": "a"},
	"spec": {"imageDigestMirrors": [{"source": "s.com", "mirrors": ["m.local"]}]}}`
	justSpec = "spec:\n  imageDigestMirrors:\n  - source: t.com\n    mirrors: [m.local]\n"
)

// indented makes a manifest the item of a list.
func indented(manifest string) string {
	return "- " + strings.ReplaceAll(strings.TrimSuffix(manifest, "\n"), "\n", "\n  ") + "\n"
}

var (
	setA, setB = plugintest.Set("a", "s.com", "m.local"), plugintest.Set("b", "t.com", "m.local")
	both       = plugintest.Documents(setA, setB)
	list       = "apiVersion: v1\nkind: List\nmetadata:\n  resourceVersion: \"\"\nitems:\n"
	typedList  = "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSetList\nmetadata:\n  resourceVersion: \"7\"\nitems:\n"
)

func TestManifestsAreReadInEveryForm(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		sources    []string
	}{
		{"one document", setA, []string{"s.com"}},
		{"two documents", both, []string{"s.com", "t.com"}},
		{"a leading separator", "---\n" + both, []string{"s.com", "t.com"}},
		{"a trailing separator", both + "---\n", []string{"s.com", "t.com"}},
		{"separators with comments", "--- # one\n" + setA + "--- # two\n" + setB, []string{"s.com", "t.com"}},
		{"documents of comments only", "# Copyright\n---\n# one\n" + setA + "---\n# nothing\n---\n" + setB + "---\n\n---\n# end\n", []string{"s.com", "t.com"}},
		{"an end marker before a separator", setA + "...\n---\n" + setB + "...\n# end\n", []string{"s.com", "t.com"}},
		{"no newline at the end", strings.TrimSuffix(both, "\n"), []string{"s.com", "t.com"}},
		{"line ends of Windows", strings.ReplaceAll("---\n"+both, "\n", "\r\n"), []string{"s.com", "t.com"}},
		{"a byte order mark", bom + both, []string{"s.com", "t.com"}},
		{"a byte order mark before a separator", bom + "---\n" + both, []string{"s.com", "t.com"}},
		{"a byte order mark and line ends of Windows", bom + strings.ReplaceAll(both, "\n", "\r\n"), []string{"s.com", "t.com"}},
		{"JSON", inJSON, []string{"s.com"}},
		{"JSON with separators", inJSON + "\n---\n" + setB, []string{"s.com", "t.com"}},
		{"other kinds beside", plugintest.Documents(pod, setA, pod), []string{"s.com"}},
		{"a list", list + indented(setA) + indented(pod) + indented(setB), []string{"s.com", "t.com"}},
		{"a typed list", typedList + indented(setA) + indented(setB), []string{"s.com", "t.com"}},
		{"a typed list without types", typedList + indented("metadata:\n  name: b\n"+justSpec), []string{"t.com"}},
		{"an empty list", list[:strings.Index(list, "items")] + "items: []\n---\n" + setA, []string{"s.com"}},
		{"what an API server returns", strings.Replace(setA, "  name: a\n", "  name: a\n  generation: 1\n  uid: x\n  creationTimestamp: \"2026-01-02T03:04:05Z\"\n  managedFields: [{manager: m, operation: Update, apiVersion: config.openshift.io/v1, fieldsType: FieldsV1, fieldsV1: {f:spec: {}}}]\n", 1), []string{"s.com"}},
		{"JSON objects behind each other", inJSON + strings.ReplaceAll(strings.Replace(inJSON, `"a"`, `"b"`, 1), "s.com", "t.com"), []string{"s.com", "t.com"}},
		{"UTF-16", utf16(both), []string{"s.com", "t.com"}},
		{"merge keys", ourType + "metadata: {name: a}\nspec:\n  imageDigestMirrors:\n  - &one {source: s.com, mirrors: &m [m.local]}\n  - <<: *one\n    source: t.com\n  - {source: u.com, mirrors: *m}\n", []string{"s.com", "t.com", "u.com"}},
		{"nulls that kubectl leaves out", setA + "    mirrorSourcePolicy: null\n", []string{"s.com"}},
		{"an unknown field of a list", list + indented(setA) + "item: []\n", []string{"s.com"}},
		{"a namespace that kubectl leaves out", strings.Replace(setA, "name: a", "name: a\n  namespace: x", 1), []string{"s.com"}},
		{"a status of another cluster", setA + "status: {conditions: [{type: x}]}\n", []string{"s.com"}},
		{"an empty spec", ourType + "metadata:\n  name: a\nspec: {}\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			for how, r := range map[string]plugintest.Result{
				"standard input": run(t, tt.text, "render", "-f", "-").MustSucceed(t),
				"a file":         run(t, "", "render", "-f", write(t, folder, "any.name", tt.text)).MustSucceed(t),
				"a folder":       run(t, "", "render", "-f", filepath.Dir(write(t, filepath.Dir(write(t, folder, "README.md", "# no")), "x.yml", tt.text))).MustSucceed(t),
			} {
				if got := sourcesIn(r.Stdout); strings.Join(got, " ") != strings.Join(tt.sources, " ") {
					t.Errorf("from %s: sources %q, want %q; stderr: %s", how, got, tt.sources, r.Stderr)
				}
				if strings.Contains(r.Stderr, "note:") {
					t.Errorf("from %s: stderr %q", how, r.Stderr)
				}
			}
		})
	}
}

// sourcesIn returns the sources of a registries.conf in order.
func sourcesIn(conf string) []string {
	var sources []string
	for _, table := range strings.Split(conf, "[[registry]]\n")[1:] {
		_, value, _ := strings.Cut(table, ` = "`)
		value, _, _ = strings.Cut(value, `"`)
		sources = append(sources, value)
	}
	return sources
}

func TestAFolderIsReadByNameAndNotBelow(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "2.yaml", plugintest.Set("a", "second.com", "m.local"))
	write(t, folder, "1.json", inJSON)
	write(t, folder, "3.yml", setB)
	write(t, folder, "4.txt", "not a manifest")
	below := filepath.Join(folder, "below.yaml")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, below, "5.yaml", plugintest.Set("c", "below.com", "m.local"))
	r := run(t, "", "render", "-f", folder).MustSucceed(t)
	if got := strings.Join(sourcesIn(r.Stdout), " "); got != "second.com t.com" {
		t.Errorf("sources %q; want the later set of name a, and b", got)
	}
}

func TestTheLaterOfTwoSetsWithOneNameReplacesTheEarlier(t *testing.T) {
	folder := t.TempDir()
	one, two := write(t, folder, "one.yaml", plugintest.Documents(setB, setA)), write(t, folder, "two.yaml", plugintest.Set("a", "later.com", "m.local"))
	for _, tt := range []struct {
		name, stdin, want, warning string
		args                       []string
	}{
		{"in one file", plugintest.Documents(setA, plugintest.Set("a", "later.com", "m.local")), "later.com",
			"warning: DuplicateObject: a: standard input: document 2 replaces standard input: document 1\n", []string{"-f", "-"}},
		{"in one list", list + indented(setA) + indented(plugintest.Set("a", "later.com", "m.local")), "later.com",
			"warning: DuplicateObject: a: standard input: document 1, items[1] replaces standard input: document 1, items[0]\n", []string{"-f", "-"}},
		{"in two files", "", "later.com t.com",
			"warning: DuplicateObject: a: " + two + ": document 1 replaces " + one + ": document 2\n", []string{"-f", one, "-f", two}},
		{"in two files the other way round", "", "s.com t.com",
			"warning: DuplicateObject: a: " + one + ": document 2 replaces " + two + ": document 1\n", []string{"-f", two, "-f", one}},
		{"in a file and standard input", plugintest.Set("a", "later.com", "m.local"), "later.com t.com",
			"warning: DuplicateObject: a: standard input: document 1 replaces " + one + ": document 2\n", []string{"--filename", one, "--filename=-"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, tt.stdin, append([]string{"render"}, tt.args...)...).MustSucceed(t)
			if got := strings.Join(sourcesIn(r.Stdout), " "); got != tt.want || r.Stderr != tt.warning {
				t.Errorf("sources %q, stderr %q; want %q, %q", got, r.Stderr, tt.want, tt.warning)
			}
		})
	}
}

func TestInputWithoutSetsLeavesANote(t *testing.T) {
	for _, tt := range []struct {
		name, text, passedOver string
	}{
		{"nothing at all", "", "0"},
		{"only comments", "# a\n---\n# b\n", "0"},
		{"only other kinds", plugintest.Documents(pod, pod), "2"},
		{"a list of other kinds", list + indented(pod), "1"},
		{"a kind of OpenShift that is not ours", "apiVersion: operator.openshift.io/v1alpha1\nkind: ImageContentSourcePolicy\n", "1"},
		{"a list of our kind without items", strings.TrimSuffix(typedList, "items:\n") + "items: []\n", "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, tt.text, "render", "-f", "-").MustSucceed(t)
			want := "note: no ImageDigestMirrorSet or ImageTagMirrorSet in standard input; objects of other kinds ignored: " + tt.passedOver + "\n"
			if !strings.HasSuffix(r.Stderr, want) || strings.Contains(r.Stdout, "[[registry]]") {
				t.Errorf("stderr %q, want %q; stdout:\n%s", r.Stderr, want, r.Stdout)
			}
		})
	}
}

// run runs the verb as the program does.
func run(t *testing.T, stdin string, args ...string) plugintest.Result {
	t.Helper()
	return plugintest.Run(t, plugintest.Program(render.Command(), explain.Command()), stdin, args...)
}

// write puts a file into the folder and returns its path.
func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	plugintest.WriteFile(t, path, text, 0o600)
	return path
}
