// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"regexp"
	"strconv"
	"sync"

	yamlv3 "go.yaml.in/yaml/v3"
)

// positions knows where the fields of a document stand. It reads the document again where somebody asks.
type positions struct {
	root   func() *yamlv3.Node // nil where the document has none that can be found
	first  int                 // line of the stream at which the document begins
	unique bool                // no mapping has a key twice, as is known of plain documents
}

func positionsOf(d document) positions {
	root := sync.OnceValue(func() *yamlv3.Node {
		var root yamlv3.Node
		if err := yamlv3.Unmarshal(d.text, &root); err != nil || len(root.Content) == 0 {
			return nil // it is read by another parser, and this one helps with messages alone
		}
		return root.Content[0]
	})
	return positions{root: root, first: d.line, unique: d.plain != nil}
}

func (p positions) node() *yamlv3.Node {
	if p.root == nil {
		return nil // as of an object that was in no document
	}
	return p.root()
}

var step = regexp.MustCompile(`[^.\[\]]+`)

// in returns the positions of a field's own fields.
func (p positions) in(path string) positions {
	root := sync.OnceValue(func() *yamlv3.Node {
		at, _ := p.find(path)
		return at
	})
	return positions{root: root, first: p.first}
}

// lineOf returns the line of a field, or of what is nearest above it.
func (p positions) lineOf(path string) int {
	_, line := p.find(path)
	return line
}

func (p positions) find(path string) (*yamlv3.Node, int) {
	at := p.node()
	if at == nil {
		return nil, p.first
	}
	line := at.Line
	for _, name := range step.FindAllString(path, -1) {
		if at.Kind == yamlv3.AliasNode {
			at = at.Alias
		}
		key, value := child(at, name)
		if value == nil {
			break
		}
		at, line = value, key.Line
	}
	return at, p.first + line - 1
}

// child returns a field or an item, with what its line is that of.
func child(of *yamlv3.Node, name string) (key, value *yamlv3.Node) {
	if of.Kind == yamlv3.SequenceNode {
		if i, err := strconv.Atoi(name); err == nil && i < len(of.Content) {
			return of.Content[i], of.Content[i]
		}
		return nil, nil
	}
	for i := len(of.Content) - 2; i >= 0 && of.Kind == yamlv3.MappingNode; i -= 2 { // the last one counts
		if of.Content[i].Value == name {
			return of.Content[i], of.Content[i+1]
		}
	}
	return nil, nil
}

// repeated is a key that a mapping has more than once.
type repeated struct {
	key  string
	line int // of the second one
}

// repeats returns the keys that are there more than once. The keys of a merge key (<<) are no repetition.
func (p positions) repeats() []repeated {
	if p.unique {
		return nil
	}
	var found []repeated
	var look func(*yamlv3.Node)
	look = func(n *yamlv3.Node) {
		seen := make(map[string]int)
		for i, c := range n.Content {
			if n.Kind == yamlv3.MappingNode && i%2 == 0 && c.Value != "<<" {
				if seen[c.Value]++; seen[c.Value] == 2 {
					found = append(found, repeated{c.Value, p.first + c.Line - 1})
				}
			}
			look(c)
		}
	}
	if root := p.node(); root != nil {
		look(root)
	}
	return found
}
