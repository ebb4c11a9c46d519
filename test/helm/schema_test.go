// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// property is a value in the schema.
type property struct {
	Description string              `json:"description"`
	Properties  map[string]property `json:"properties"`
}

// describe adds what the schema says of each value, by the value's path. Below a value with a description, there is nothing to describe.
func (p property) describe(path string, all map[string]string) {
	if p.Description != "" {
		all[strings.TrimPrefix(path, ".")] = p.Description
		return
	}
	if p.Properties == nil {
		all[strings.TrimPrefix(path, ".")] = "is not described"
	}
	for name, below := range p.Properties {
		below.describe(path+"."+name, all)
	}
}

var (
	described = regexp.MustCompile(`^ *# -- (?:\([a-z ]+\) )?(.*)$`) // a type is for helm-docs
	continued = regexp.MustCompile(`^ *# ([^@].*)$`)
	key       = regexp.MustCompile(`^( *)([A-Za-z]+):`)
)

// TestTheSchemaAndTheValuesSayTheSame requires each value of values.yaml in the schema, with its comment there, and no other value.
func TestTheSchemaAndTheValuesSayTheSame(t *testing.T) {
	text, err := os.ReadFile(chartPath + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	var path, comment []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case described.MatchString(line):
			comment = described.FindStringSubmatch(line)[1:]
		case comment != nil && continued.MatchString(line):
			comment = append(comment, continued.FindStringSubmatch(line)[1])
		case key.MatchString(line):
			match := key.FindStringSubmatch(line)
			path = append(path[:len(match[1])/2], match[2])
			if comment != nil {
				want[strings.Join(path, ".")] = strings.Join(comment, " ")
			}
			comment = nil
		}
	}
	var schema property
	if err := json.Unmarshal(load3(t).Schema, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema.Properties, "global") // which Helm adds
	got := map[string]string{}
	schema.describe("", got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values.yaml has -, and the schema +\n%s", diff)
	}
}

// TestEveryValueHasADefault wants each value of the schema in values.yaml, where people look for it.
func TestEveryValueHasADefault(t *testing.T) {
	loaded := load3(t)
	var schema property
	if err := json.Unmarshal(loaded.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema.Properties, "global")
	var look func(path string, p property, values any)
	look = func(path string, p property, values any) {
		if p.Description != "" {
			return
		}
		group, _ := values.(map[string]any)
		for name := range group {
			if _, ok := p.Properties[name]; !ok {
				t.Errorf("%s.%s is not in the schema", path, name)
			}
		}
		for name, below := range p.Properties {
			value, ok := group[name]
			if !ok {
				t.Errorf("%s.%s has no default", path, name)
			}
			look(path+"."+name, below, value)
		}
	}
	look("", schema, loaded.Values)
}
