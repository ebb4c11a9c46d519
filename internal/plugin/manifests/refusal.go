// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/mirrors/value"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/schema"
)

// Refusal is an object that the API server, or kubectl before it, would not take.
type Refusal struct {
	// Set is the set that it would be; its kind is nil where it is none.
	Set mirrors.Object
	// Place is the file and the document.
	Place string
	// Causes are why; there are none where the object is no set at all.
	Causes []schema.Cause

	said []string // one a cause
}

// Error says all of it.
func (r Refusal) Error() string {
	return r.Place + ": " + strings.Join(r.said, "; ")
}

// WhyRefused returns why an API server would not take a set, in JSON; nothing where it takes it.
func WhyRefused(kind *kinds.Kind, set []byte) (why []string, err error) {
	o := object{data: set}
	if err := utiljson.Unmarshal(set, &o.content); err != nil {
		return nil, err
	}
	judge, err := schema.Of(kind)
	if err != nil {
		return nil, err
	}
	for _, cause := range judge.Judge(o.content).Causes {
		why = append(why, o.say(cause))
	}
	return why, nil
}

// print prints a line for each cause.
func (r Refusal) print(stderr io.Writer) {
	for _, text := range r.said {
		fmt.Fprintf(stderr, "refused: %s: %s\n", r.Place, text)
	}
}

func (m *Manifests) refuse(o object, why string) {
	m.Refused = append(m.Refused, Refusal{Place: o.place, said: []string{fmt.Sprintf("line %d: %s", o.lineOf(""), why)}})
}

func (m *Manifests) refuseSet(kind *kinds.Kind, o object, causes []schema.Cause) {
	r := Refusal{Set: mirrors.Object{Kind: &kind.Kind, Name: o.name()}, Place: o.place, Causes: causes}
	for _, cause := range causes {
		r.said = append(r.said, fmt.Sprintf("line %d: %s %q: %s", o.lineOf(cause.Field), kind.Name, o.name(), o.say(cause)))
	}
	m.Refused = append(m.Refused, r)
}

// refusals counts them for people.
func refusals(count int) string {
	return output.Plural(count, "object", "objects") + " would be refused (see above)"
}

func them(count int) string {
	if count == 1 {
		return "it"
	}
	return "them"
}

// say says what is wrong with a field, its value, and what to do.
func (o *object) say(cause schema.Cause) string {
	detail := strings.TrimPrefix(cause.Detail, cause.Field+" in body ")
	switch cause.Type {
	case schema.UnknownField:
		return fmt.Sprintf("unknown field %q; %s", cause.Field, insteadOf(cause))
	case field.ErrorTypeRequired:
		return fmt.Sprintf("%s: the field is required and missing%s", cause.Field, because(cause.Detail))
	case field.ErrorTypeDuplicate:
		return fmt.Sprintf("%s: %s is repeated, and the API server accepts each mirror only once; delete one of the two", cause.Field, valueOf(cause))
	case field.ErrorTypeTypeInvalid:
		there := o.found(cause.Field)
		if strings.HasPrefix(cause.Field, "metadata") {
			there = fmt.Sprint(cause.Value) // the field is a mapping with a wrong value, or that value
		}
		return fmt.Sprintf("%s: the value must be %s, and is %s", cause.Field, wantedType(detail), there)
	case field.ErrorTypeForbidden:
		return cause.Field + ": " + detail
	case field.ErrorTypeNotSupported:
		return fmt.Sprintf("%s %s: %s, or leave it out", cause.Field, valueOf(cause), strings.Replace(cause.Detail, "supported values", "use one of", 1))
	}
	if strings.HasPrefix(detail, "should match '") {
		kind := value.Mirror
		if strings.HasSuffix(cause.Field, ".source") {
			kind = value.Source
		}
		detail = value.Wrong(fmt.Sprint(cause.Value), kind)
	}
	return fmt.Sprintf("%s %s: %s", cause.Field, valueOf(cause), detail)
}

func because(detail string) string {
	if detail == "" {
		return ""
	}
	return ", because " + detail
}

// wantedType is the type that the API server names, in words of YAML. The name of any other type stays.
func wantedType(detail string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(detail, "must be of type "), ":")
	words := map[string]string{"array": "a list", "object": "a mapping", "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
	return cmp.Or(words[name], name)
}

// found is what an object has in a field, for people.
func (o *object) found(path string) string {
	var at any = o.content
	for _, name := range step.FindAllString(path, -1) {
		switch fields := at.(type) {
		case map[string]any:
			at = fields[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(fields) {
				return "something else"
			}
			at = fields[i]
		}
	}
	switch there := at.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return "the text " + value.Quote(there)
	}
	return fmt.Sprint(at)
}

// valueOf is the one of a cause.
func valueOf(cause schema.Cause) string {
	return value.Quote(fmt.Sprint(cause.Value))
}

// insteadOf names the field that was meant, or all that there are.
func insteadOf(cause schema.Cause) string {
	name := cause.Field[strings.LastIndex(cause.Field, ".")+1:]
	near := slices.SortedFunc(slices.Values(cause.Known), func(a, b string) int {
		return cmp.Compare(distance(strings.ToLower(name), strings.ToLower(a)), distance(strings.ToLower(name), strings.ToLower(b)))
	})
	switch {
	case len(near) == 0:
		return "delete it"
	case distance(strings.ToLower(name), strings.ToLower(near[0])) <= len(name)/3:
		return fmt.Sprintf("did you mean %q?", near[0])
	}
	return "delete it, or use a field that exists: " + strings.Join(cause.Known, ", ")
}
