// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

const plainSet = `
apiVersion: config.openshift.io/v1
kind: ImageDigestMirrorSet
metadata: {name: a, labels: {b: c}, annotations: {d.com/e: "f g"}}
spec:
  imageDigestMirrors:
  - {source: quay.io/a, mirrors: [m.com, m.com/b], mirrorSourcePolicy: NeverContactSource}
  - {source: "*.b.com"}
`

// changedSets are plain sets with one change each, most of which the API server minds.
func changedSets() []string {
	all := []string{plainSet}
	for _, change := range [][2]string{
		{"m.com/b", "m.com"}, {"m.com/b", "M/B"}, {"[m.com, m.com/b]", "m.com"}, {"[m.com, m.com/b]", "[m.com, 1]"}, {"[m.com, m.com/b]", "[m.com, null]"}, {"[m.com, m.com/b]", "[]"},
		{"[m.com, m.com/b]", "null"}, {"[m.com, m.com/b]", "{m.com: n.com}"}, {"NeverContactSource", "Never"}, {"NeverContactSource", "null"}, {"NeverContactSource", "true"},
		{"source: quay.io/a, ", ""}, {"source: quay.io/a", "source: null"}, {"source: quay.io/a", "source: 'quay.io/a:tag'"}, {"source: quay.io/a", "source: ''"}, {"source: quay.io/a", "source: [quay.io/a]"}, {"source: quay.io/a", "source: {}"}, {"source: quay.io/a", "source: []"}, {"[m.com, m.com/b]", "{}"},
		{"source: quay.io/a", "source: quay.io/a, other: x"}, {"spec:", "other: x\nspec:"}, {"spec:", "status: {}\nspec:"}, {"spec:", "status: {sources: 1}\nspec:"}, {"spec:", "status: null\nspec:"},
		{"spec:", "stats:"}, {"  imageDigestMirrors:", "  imageTagMirrors:"}, {"  imageDigestMirrors:", "  other: {}\n  imageDigestMirrors:"},
		{"name: a, ", ""}, {"name: a", "name: A"}, {"name: a", "name: 1"}, {"name: a", "name: null"}, {"name: a", "name: a, namespace: b"}, {"name: a", "name: a, uid: b"}, {"name: a", "name: a, other: b"},
		{"name: a", "name: a, creationTimestamp: null"}, {"name: a", "name: a, generateName: a"}, {"name: a", "name: a, managedFields: [{manager: a}]"}, {"{b: c}", "{b: 1}"}, {"{b: c}", "{b: null}"}, {"{b: c}", "null"},
		{"{b: c}", "{b/c/d: e}"}, {"{b: c}", "{b: 'c d'}"}, {"{b: c}", "[b]"}, {"{b: c}", "{}"}, {"{d.com/e:", "{'d e':"}, {`"f g"`, "null"},
		{"metadata: {", "metadata: {finalizers: [a.com/b], "}, {"metadata:", "meta:"},
	} {
		all = append(all, strings.Replace(plainSet, change[0], change[1], 1))
	}
	head, _, _ := strings.Cut(plainSet, "spec:")
	return append(all, head, head+"spec: {}\n", head+"spec: []\n", head+"spec: null\n", "a: b\n")
}

// What is plain is what the API server takes, and stores as it is.
func FuzzPlainObjectsAreTakenAsByTheAPIServer(f *testing.F) {
	for _, text := range changedSets() {
		f.Add(text)
		f.Add(strings.ReplaceAll(text, "Digest", "Tag"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		data, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			return
		}
		var object map[string]any
		if err := utiljson.Unmarshal(data, &object); err != nil {
			return
		}
		for _, kind := range kinds.All {
			s, err := Of(kind)
			if err != nil {
				t.Fatal(err)
			}
			if !s.plain.takesObject(object) {
				continue
			}
			want := s.judgeAsAPIServer(object)
			if len(want.Causes) > 0 || len(want.ServerSide) > 0 || !reflect.DeepEqual(want.Stored, object) {
				t.Errorf("%s is plain, and the API server says %v, %v, and stores %v", data, want.Causes, want.ServerSide, want.Stored)
			}
		}
	})
}

// All other tests pass, too, where the quick way is never taken.
func TestASetAsPeopleWriteItIsPlain(t *testing.T) {
	for _, kind := range kinds.All {
		s, err := Of(kind)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(plainSet, "imageDigestMirrors", kind.Field)), &object); err != nil {
			t.Fatal(err)
		}
		if !s.plain.takesObject(object) {
			t.Errorf("%s is not plain", kind.Name)
		}
	}
}

// Comparing each mirror with each other one would take the square of the time.
func TestAnEntryWithManyMirrorsIsLeftToTheAPIServersCode(t *testing.T) {
	for n, isPlain := range map[int]bool{fewItems: true, fewItems + 1: false} {
		var mirrors []string
		for i := range n {
			mirrors = append(mirrors, fmt.Sprintf("m%d.com", i))
		}
		for _, twice := range []bool{false, true} {
			if twice {
				mirrors[n-1] = mirrors[0]
			}
			text := strings.Replace(plainSet, "[m.com, m.com/b]", "["+strings.Join(mirrors, ", ")+"]", 1)
			object := map[string]any{}
			if err := yaml.Unmarshal([]byte(text), &object); err != nil {
				t.Fatal(err)
			}
			s, err := Of(kinds.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.plain.takesObject(object); got != (isPlain && !twice) {
				t.Errorf("%d mirrors, one of them twice: %t: plain %t", n, twice, got)
			}
			if causes := s.Judge(object).Causes; len(causes) > 0 != twice {
				t.Errorf("%d mirrors, one of them twice: %t: %v", n, twice, causes)
			}
		}
	}
}

// A schema that says more than a plain one can is left to the API server's code.
func TestWhatAPlainSchemaCannotSayIsNotPlain(t *testing.T) {
	const text = `{type: string}`
	for _, tt := range []struct {
		spec, status, metadata, value string
		plain                         bool
	}{
		{"{a: " + text + "}", "", "{type: object}", "{a: x}", true},
		{"{a: {type: integer}, b: " + text + "}", "", "{type: object}", "{b: x}", true},
		{"{a: {type: string, enum: [x, z]}}", "", "{type: object}", "{a: x}", true},
		{"{a: {type: integer}}", "", "{type: object}", "{a: 1}", false},
		{"{a: {type: object, enum: [x]}}", "", "{type: object}", "{a: {}}", false},
		{"{a: {type: string, pattern: '" + value.Mirror.Expression() + "'}}", "", "{type: object}", "{a: m.com}", true},
		{"{a: {type: string, pattern: '" + value.Mirror.Expression() + "'}}", "", "{type: object}", "{a: '*.m.com'}", false},
		{"{a: {type: string, pattern: '^x$'}}", "", "{type: object}", "{a: x}", false},
		{"{a: {type: string, maxLength: 1}}", "", "{type: object}", "{a: x}", false},
		{"{a: {type: string, format: date}}", "", "{type: object}", "{a: x}", false},
		{"{a: {type: string, default: x}, b: " + text + "}", "", "{type: object}", "{b: x}", false},
		{"{a: {type: string, x-kubernetes-validations: [{rule: 'self != \"x\"'}]}}", "", "{type: object}", "{a: x}", false},
		{"{a: {type: object, additionalProperties: " + text + "}}", "", "{type: object}", "{a: {b: c}}", false},
		{"{a: {type: object, x-kubernetes-preserve-unknown-fields: true}}", "", "{type: object}", "{a: {}}", false},
		{"{a: {type: array, maxItems: 1, items: " + text + "}}", "", "{type: object}", "{a: [x]}", false},
		{"{a: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [b], items: {type: object, required: [b], properties: {b: " + text + "}}}}", "", "{type: object}", "{a: [{b: c}]}", false},
		{"{a: {type: array, x-kubernetes-list-type: set, items: {type: array, x-kubernetes-list-type: atomic, items: " + text + "}}}", "", "{type: object}", "{a: [[x]]}", false},
		{"{a: " + text + "}", "", "{type: object, properties: {name: {type: string, pattern: ^b$}}}", "{a: x}", false},
		{"{a: " + text + "}", "", "{type: object, minProperties: 2}", "{a: x}", false},
		{"{a: " + text + "}", ", status: {type: object, default: {}}", "{type: object}", "{a: x}", false},
	} {
		s, err := Read([]byte(`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: w.x.y}, spec: {group: x.y, scope: Cluster, names: {kind: W, plural: w}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object,
			properties: {metadata: `+tt.metadata+`, spec: {type: object, properties: `+tt.spec+`}`+tt.status+`}}}}]}}`), "v1")
		if err != nil {
			t.Fatalf("%s: %v", tt.spec, err)
		}
		object := map[string]any{}
		if err := yaml.Unmarshal([]byte("{metadata: {name: a}, spec: "+tt.value+"}"), &object); err != nil {
			t.Fatal(err)
		}
		if got := s.plain.takesObject(withInts(object).(map[string]any)); got != tt.plain {
			t.Errorf("%s%s, metadata %s: plain %v", tt.spec, tt.status, tt.metadata, got)
		}
	}
}
