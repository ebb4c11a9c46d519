// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package value_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// characters are those of the grammar, one of each that it treats alike.
const characters = "aA0-._:/*"

func TestTheGrammarTakesOfAllShortTextsWhatTheCRDsTake(t *testing.T) {
	expressions := expressionsOfTheCRDs(t)
	var check func(text string)
	check = func(text string) {
		wantAsTheCRDs(t, expressions, text)
		for _, c := range characters {
			if len(text) < 5 {
				check(text + string(c))
			}
		}
	}
	check("")
}

// The regular expressions of the API and the grammar that the manager and its agents read by are the same.
func FuzzTheGrammarIsThatOfTheCRDs(f *testing.F) {
	expressions := expressionsOfTheCRDs(f)
	for _, seed := range []string{"m.com:5000/a_b/c.d/e--f/g__h", "Registry.Example.com/lower/0.case", "*.m-m.com", "*.m.com:5000", "*.m.com/x", "m.com/a---b", "m.com/a___b", "m.com/a._b", "m.com/a-.b",
		"m.com/_a", "m.com/a-", "m.com//x", "m.com/x/", "m.com:", "m.com:5000x", "m.com:1:2", "-m.com", "m-.com", "m..com", "[::1]:5000/x", "m.com/X", "m.com/x\n", "m.c\u00f6m", "\xff.com", "m.com/x@sha256:ab"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { wantAsTheCRDs(t, expressions, text) })
}

func wantAsTheCRDs(t *testing.T, expressions map[value.Kind]*regexp.Regexp, text string) {
	t.Helper()
	for kind, expression := range expressions {
		if got := kind.Takes(text); got != expression.MatchString(text) {
			t.Errorf("%q: taken: %t, which is not what %s says", text, got, expression)
		}
	}
}

func TestTheExpressionOfAKindIsThatOfTheCRDs(t *testing.T) {
	for kind, want := range expressionsOfTheCRDs(t) {
		if got := kind.Expression(); got != want.String() {
			t.Errorf("kind %d: %s, and the CRDs have %s", kind, got, want)
		}
	}
}

// expressionsOfTheCRDs returns what the CRDs, which are generated from the API, say of a source and of a mirror.
func expressionsOfTheCRDs(tb testing.TB) map[value.Kind]*regexp.Regexp {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "config", "crd", "bases", "*mirrorsets.yaml"))
	if err != nil || len(files) != 2 {
		tb.Fatalf("found CRDs %q, error %v, want two", files, err)
	}
	expressions := make(map[value.Kind]*regexp.Regexp)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		var crd any
		if err := yaml.Unmarshal(data, &crd); err != nil {
			tb.Fatal(err)
		}
		patterns := make(map[string]string)
		collectPatterns(crd, "", patterns)
		for field, kind := range map[string]value.Kind{".source": value.Source, ".mirrors.items": value.Mirror} {
			found := 0
			for path, pattern := range patterns {
				if !strings.HasSuffix(path, field) {
					continue
				}
				found++
				if expressions[kind] != nil && expressions[kind].String() != pattern {
					tb.Errorf("%s: %s: pattern %s, which is another one elsewhere", file, path, pattern)
				}
				expressions[kind] = regexp.MustCompile(pattern)
			}
			if found != 1 {
				tb.Fatalf("%s has %d patterns for %s, want one", file, found, field)
			}
		}
	}
	return expressions
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
