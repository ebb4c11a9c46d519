// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/kinds"
)

// The schema of a kind that has what those of sets lack: defaults, rules in CEL, and lists that are maps.
const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.test}
spec:
  group: example.test
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - {rule: "self.low <= self.high", message: low is above high}
            properties:
              low: {type: integer, default: 3}
              high: {type: integer, maximum: 9}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}}
`

func judged(t *testing.T, s *Schema, text string) Verdict {
	t.Helper()
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &object, yaml.DisallowUnknownFields); err != nil {
		t.Fatal(err)
	}
	return s.Judge(withInts(object).(map[string]any))
}

// withInts has whole numbers as an unstructured object has them.
func withInts(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for k := range value {
			value[k] = withInts(value[k])
		}
	case []any:
		for i := range value {
			value[i] = withInts(value[i])
		}
	case float64:
		return int64(value)
	}
	return value
}

func (v Verdict) String() string {
	all := make([]string, len(v.Causes))
	for i, c := range v.Causes {
		all[i] = fmt.Sprintf("%s %s %v %s", string(c.Type), c.Field, c.Value, c.Detail)
	}
	return strings.Join(all, "\n")
}

func TestAnObjectIsJudgedByAllOfItsSchema(t *testing.T) {
	s, err := Read([]byte(widgets), "v1")
	if err != nil {
		t.Fatal(err)
	}
	const head = "apiVersion: example.test/v1\nkind: Widget\nmetadata: {name: a}\n"
	for _, tt := range []struct{ spec, want string }{
		{"{high: 4}", ""},
		{"{high: 2}", "low is above high"}, // by its default
		{"{low: 5, high: 4}", "low is above high"},
		{"{low: 5, high: 10}", "spec.high"},
		{"{high: 4, parts: [{name: a}, {name: b}]}", ""},
		{"{high: 4, parts: [{name: a}, {name: a}]}", "FieldValueDuplicate spec.parts[1]"},
		{"{high: x, low: 9}", "spec.high"},
		{"{high: 4, parts: [{name: a, x: 1}]}", "FieldUnknown spec.parts[0].x"},
	} {
		v := judged(t, s, head+"spec: "+tt.spec+"\n")
		if (len(v.Causes) == 0) != (tt.want == "") || !strings.Contains(v.String(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.spec, v, tt.want)
		}
	}
	if v := judged(t, s, head+"spec: {high: x, low: 9}\n"); strings.Contains(v.String(), "low is above") {
		t.Errorf("rules are tried on what has the wrong type: %v", v)
	}
	v := judged(t, s, head+"spec: {high: 4, parts: null}\nstatus: {a: 1}\n")
	if got := fmt.Sprint(v.Stored["spec"]); got != "map[high:4 low:3]" {
		t.Errorf("stored: %s", got)
	}
	if _, err := Read([]byte(widgets), "v2"); err == nil || !strings.Contains(err.Error(), "widgets.example.test has no schema of version v2") {
		t.Error(err)
	}
}

func TestTheSameObjectHasTheSameCausesInTheSameOrder(t *testing.T) {
	sets, err := Of(kinds.Digest)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		var values []string
		for _, cause := range judged(t, sets, "metadata: {name: a, annotations: {-c: x, -a: x, -d: x, -b: x}}\nspec: {}").Causes {
			values = append(values, fmt.Sprint(cause.Value))
		}
		if got := strings.Join(values, " "); got != "-a -b -c -d" {
			t.Fatalf("got %s", got)
		}
	}
}

func TestTheKindsOfSetsHaveSchemas(t *testing.T) {
	for _, kind := range kinds.All {
		s, err := Of(kind)
		if err != nil {
			t.Fatal(err)
		}
		if !s.hasStatus || s.structural.Properties["spec"].Properties[kind.Field].Items == nil {
			t.Errorf("%s: %+v", kind.Name, s.structural)
		}
	}
}
