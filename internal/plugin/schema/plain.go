// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"reflect"
	"slices"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// plain is a schema of mappings, lists, and text by the grammar of sources and mirrors, which is quick to compare with an object: the API
// server's own code makes a validator for each value. An object that it takes is one that the API server takes and stores as it is. Of
// all others it says nothing.
type plain struct {
	kind     string            // object, array or string
	fields   map[string]*plain // nil for a field that is not plain
	required []string
	items    *plain
	isSet    bool // a list that has each of its texts once
	enum     []string
	matches  func(string) bool // nil where all text does
}

// plainRoot returns what is plain of the schema of a whole object; nil where that is nothing.
func plainRoot(s *structuralschema.Structural, hasStatus bool) *plain {
	root := *s
	root.Properties = make(map[string]structuralschema.Structural, len(s.Properties))
	for name, of := range s.Properties {
		if name != "status" || !hasStatus {
			root.Properties[name] = of
		}
	}
	p := plainOf(&root)
	if p == nil || !reflect.DeepEqual(p.fields["metadata"], &plain{kind: "object", fields: map[string]*plain{}}) {
		return nil // it wants more of metadata than all objects have
	}
	return p
}

// plainOf returns a schema as a plain one; nil where it says anything that a plain one cannot.
func plainOf(s *structuralschema.Structural) *plain {
	p := &plain{kind: s.Type, fields: make(map[string]*plain, len(s.Properties))}
	rest := *s
	rest.Type, rest.Title, rest.Description, rest.Example, rest.ExternalDocs = "", "", "", structuralschema.JSON{}, nil
	rest.Properties, rest.Items, rest.ValueValidation, rest.XListType = nil, nil, nil, nil
	if !reflect.DeepEqual(rest, structuralschema.Structural{}) || !p.readValues(s.ValueValidation) {
		return nil
	}
	for name := range s.Properties {
		field := s.Properties[name]
		if field.Default.Object != nil {
			return nil
		}
		p.fields[name] = plainOf(&field)
	}
	switch {
	case s.Items != nil:
		p.items = plainOf(s.Items)
	case p.kind == "array":
		return nil
	}
	if p.isSet = s.XListType != nil && *s.XListType == "set"; p.isSet && (p.items == nil || p.items.kind != "string") {
		return nil
	}
	return p
}

// readValues reads what a schema says of values. It is false where a plain one cannot say that.
func (p *plain) readValues(v *structuralschema.ValueValidation) bool {
	if v == nil {
		return true
	}
	rest := *v
	rest.Required, rest.Enum, rest.Pattern = nil, nil, ""
	if !reflect.DeepEqual(rest, structuralschema.ValueValidation{}) {
		return false
	}
	p.required = v.Required
	for _, one := range v.Enum {
		text, ok := one.Object.(string)
		if !ok || p.kind != "string" {
			return false
		}
		p.enum = append(p.enum, text)
	}
	switch v.Pattern {
	case "":
	case value.Mirror.Expression():
		p.matches = value.Mirror.Takes
	case value.Source.Expression():
		p.matches = value.Source.Takes
	default:
		return false
	}
	return true
}

// takesObject reports whether a whole object is plain, and taken.
func (p *plain) takesObject(object map[string]any) bool {
	if p == nil {
		return false
	}
	for name, field := range object {
		if name != "metadata" && !p.fields[name].takes(field) {
			return false
		}
	}
	return p.hasRequired(object) && takesMetadata(object["metadata"])
}

func (p *plain) takes(content any) bool {
	if p == nil {
		return false
	}
	switch content := content.(type) {
	case map[string]any:
		for name, field := range content {
			if !p.fields[name].takes(field) {
				return false
			}
		}
		return p.kind == "object" && p.hasRequired(content)
	case []any:
		return p.kind == "array" && p.takesItems(content)
	case string:
		return p.kind == "string" && (p.enum == nil || slices.Contains(p.enum, content)) && (p.matches == nil || p.matches(content))
	}
	return false
}

// fewItems are as many as are compared with each other in less time than it takes to hash them.
const fewItems = 32

func (p *plain) takesItems(list []any) bool {
	if p.isSet && len(list) > fewItems {
		return false // the API server's code takes a set of any length in the time of its length
	}
	for i, item := range list {
		if !p.items.takes(item) || p.isSet && slices.Contains(list[:i], item) {
			return false
		}
	}
	return true
}

func (p *plain) hasRequired(object map[string]any) bool {
	for _, name := range p.required {
		if _, has := object[name]; !has {
			return false
		}
	}
	return true
}

// takesMetadata reports whether metadata has no more than people write into it, and is taken.
func takesMetadata(content any) bool {
	fields, _ := content.(map[string]any)
	var metadata metav1.ObjectMeta
	for name, field := range fields {
		ok := false
		switch name {
		case "name":
			metadata.Name, ok = field.(string)
		case "labels":
			metadata.Labels, ok = texts(field)
		case "annotations":
			metadata.Annotations, ok = texts(field)
		}
		if !ok {
			return false
		}
	}
	return len(validateMetadata(&metadata)) == 0
}

// texts returns a mapping that has nothing but text.
func texts(content any) (map[string]string, bool) {
	fields, ok := content.(map[string]any)
	all := make(map[string]string, len(fields))
	for name, field := range fields {
		if all[name], ok = field.(string); !ok {
			return nil, false
		}
	}
	return all, ok
}
