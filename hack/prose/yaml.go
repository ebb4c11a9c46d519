// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// described are the keys of YAML whose values people read.
var described = []string{"description", "message", "summary", "title"}

// yamlTexts returns the comments of a YAML or JSON file, and its descriptions. Of a template, it returns only the comments.
func yamlTexts(name string, content []byte) ([]text, error) {
	var found []text
	var err error
	if path.Ext(name) != ".json" {
		found, err = hashTexts(name, content)
	}
	if err != nil || bytes.Contains(content, []byte("{{-")) {
		return found, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		found = append(found, descriptions(&document)...)
	}
}

func descriptions(node *yaml.Node) []text {
	var found []text
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 && child.Kind == yaml.ScalarNode && slices.Contains(described, node.Content[i-1].Value) {
			line := child.Line
			if child.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
				line++ // the value begins below its key
			}
			found = append(found, text{line, child.Value})
		}
		found = append(found, descriptions(child)...)
	}
	return found
}

// hash is a comment, and what stands before it.
var hash = regexp.MustCompile(`^((?:[^"'#]|"[^"]*"|'[^']*')*?\s)?(#+) ?(.*)$`)

// hashTexts returns the comments that begin with "#". Lines that have nothing but a comment make one with those next to
// them.
func hashTexts(_ string, content []byte) ([]text, error) {
	var found []text
	joins := false
	number := 0
	for line := range strings.Lines(string(content)) {
		number++
		parts := hash.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if parts == nil || strings.HasPrefix(parts[3], "!") {
			joins = false
			continue
		}
		alone := strings.TrimSpace(parts[1]) == ""
		if said := strings.TrimPrefix(parts[3], "-- "); joins && alone {
			found[len(found)-1].content += "\n" + said
		} else {
			found = append(found, text{number, said})
		}
		joins = alone
	}
	return found, nil
}

// action is what a template puts in.
var action = regexp.MustCompile(`\{\{.*?\}\}`)

// templateTexts returns the text of a template, with `x` for each action.
func templateTexts(_ string, content []byte) ([]text, error) {
	return []text{{1, action.ReplaceAllString(string(content), "`x`")}}, nil
}
