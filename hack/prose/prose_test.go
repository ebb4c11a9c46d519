// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	repository = "../.."
	vale       = repository + "/bin/vale"
	style      = repository + "/hack/vale/styles/Mirrorset"
)

// examples are sentences that a rule finds, and sentences without a problem.
type examples struct{ Bad, Good []string }

func read(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// put writes files below a folder.
func put(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// found returns the names of the rules that find something in each of the sentences.
func found(t *testing.T, root string, sentences []string) [][]string {
	t.Helper()
	folder := t.TempDir()
	var files []string
	for i, sentence := range sentences {
		name := fmt.Sprintf("%03d.md", i)
		put(t, folder, map[string]string{name: sentence + "\n"})
		files = append(files, filepath.Join(folder, name))
	}
	alerts, err := run(root, vale, files)
	if err != nil {
		t.Fatal(err)
	}
	rules := make([][]string, len(sentences))
	for i, file := range files {
		for _, a := range alerts[file] {
			rules[i] = append(rules[i], strings.TrimPrefix(a.Check, "Mirrorset."))
		}
	}
	return rules
}

// rules returns the names of the rules of the style.
func rules(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(style + "/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has %d rules: %v", style, len(files), err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".yml")
	}
	return files
}

func TestEachRuleFindsItsExamplesAndNoOther(t *testing.T) {
	var all map[string]examples
	read(t, "testdata/examples.yaml", &all)
	if want, got := rules(t), slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Errorf("testdata/examples.yaml has examples for the rules %q, and there are the rules %q", got, want)
	}
	for rule, sentences := range all {
		for i, got := range found(t, repository, sentences.Bad) {
			if !slices.Contains(got, rule) || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 1 {
				t.Errorf("%s must find %q, and no other rule may; these did: %q", rule, sentences.Bad[i], got)
			}
		}
		for i, got := range found(t, repository, sentences.Good) {
			if len(got) != 0 {
				t.Errorf("%q is good English, but these rules find something: %q", sentences.Good[i], got)
			}
		}
		if len(sentences.Bad) == 0 || len(sentences.Good) == 0 {
			t.Errorf("%s has %d bad and %d good examples; give it both", rule, len(sentences.Bad), len(sentences.Good))
		}
	}
}

// Each pattern of a rule is tried without the others.
func TestEachPatternFindsAnExample(t *testing.T) {
	var all map[string]examples
	read(t, "testdata/examples.yaml", &all)
	patterns := 0
	for _, name := range rules(t) {
		var whole map[string]any
		read(t, filepath.Join(style, name+".yml"), &whole)
		for _, single := range singles(whole) {
			patterns++
			root := t.TempDir()
			rule, err := yaml.Marshal(single)
			if err != nil {
				t.Fatal(err)
			}
			put(t, root, map[string]string{
				".vale.ini":                         "StylesPath = styles\nMinAlertLevel = error\n\n[*.md]\nBasedOnStyles = Mirrorset\n",
				"styles/Mirrorset/" + name + ".yml": string(rule),
			})
			if got := slices.Concat(found(t, root, all[name].Bad)...); len(got) == 0 {
				t.Errorf("no bad example of %s is found by this alone:\n%s", name, rule)
			}
		}
	}
	if patterns < 50 {
		t.Errorf("found only %d patterns", patterns)
	}
}

// singles returns a copy of a rule for each of its patterns, with that pattern only.
func singles(rule map[string]any) []map[string]any {
	var all []map[string]any
	only := func(key string, value any) {
		single := maps.Clone(rule)
		single[key] = value
		all = append(all, single)
	}
	if swap, ok := rule["swap"].(map[string]any); ok {
		for from, to := range swap {
			only("swap", map[string]any{from: to})
		}
	}
	if tokens, ok := rule["tokens"].([]any); ok {
		for _, token := range tokens {
			only("tokens", []any{token})
		}
	}
	return all
}
