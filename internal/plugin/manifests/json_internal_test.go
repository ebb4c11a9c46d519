// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"reflect"
	"testing"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// What is converted in one go is what kubectl's own conversion makes of it.
func FuzzPlainYAMLIsConvertedAsByKubectl(f *testing.F) {
	for _, text := range []string{
		"a: b\n", "a: {b: [c, 1, -2, true, null, ~, '']}\n", "1: a\n", "a: 1.5\n", "a: 2001-01-01\n", "a: 0x10\n", "a: 0o7\n", "a: 1_000\n", "a: yes\n", "a: 9223372036854775808\n",
		"a: !!binary /w==\n", "!!binary /w==\n", "a: !!str 1\n", "a: \"\\u2028<&>\"\n", "<<: {a: b}\nc: d\n", "a: &x {b: c}\nd: *x\n", "a: .inf\n", "- a\n- b\n", "text\n", "# none\n", "a: b\na: c\n", "{\"a\": \"b\"}\n", "null: a\n", "true: a\n", "? [a]\n: b\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, plain, err := yamlToJSON([]byte(text))
		if err != nil {
			return // more may follow
		}
		want, err := yaml.YAMLToJSON([]byte(text))
		if err != nil || string(got) != string(want) {
			t.Errorf("%q: %s, want %s, %v", text, got, want, err)
		}
		if repeats := (positionsOf(document{text: []byte(text)}).repeats()); plain != nil && len(repeats) > 0 {
			t.Errorf("%q: %v is there twice", text, repeats)
		}
		var read any
		if err := utiljson.Unmarshal(got, &read); plain != nil && (err != nil || !reflect.DeepEqual(plain, read)) {
			t.Errorf("%q: %#v, and its JSON is read as %#v, %v", text, plain, read, err)
		}
	})
}
