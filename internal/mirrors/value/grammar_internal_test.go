// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestTheGrammarIsThatOfTheCRD(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "config", "crd", "bases", "*_imagedigestmirrorsets.yaml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("found CRDs %q, error %v, want one", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var crd any
	if err := yaml.Unmarshal(data, &crd); err != nil {
		t.Fatal(err)
	}
	patterns := make(map[string]string)
	collectPatterns(crd, "", patterns)
	want := map[string]string{"source": grammars[Source].String(), "mirrors.items": grammars[Mirror].String()}
	for path, pattern := range patterns {
		for field := range want {
			if strings.HasSuffix(path, "."+field) {
				if pattern != want[field] {
					t.Errorf("%s:\n CRD  %s\n code %s", path, pattern, want[field])
				}
				delete(want, field)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("the CRD has no pattern for %v", want)
	}
}

// collectPatterns gathers the patterns of a schema by the path of their field.
func collectPatterns(node any, path string, into map[string]string) {
	switch node := node.(type) {
	case map[string]any:
		if pattern, ok := node["pattern"].(string); ok {
			into[path] = pattern
		}
		for key, child := range node {
			if key == "properties" {
				collectPatterns(child, path, into)
			} else {
				collectPatterns(child, path+"."+key, into)
			}
		}
	case []any:
		for _, child := range node {
			collectPatterns(child, path, into)
		}
	}
}
