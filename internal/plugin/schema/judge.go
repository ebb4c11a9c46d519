// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// Verdict is what the API server makes of an object.
type Verdict struct {
	// Causes are why it refuses the object, in the order of the fields. Without any, it takes it.
	Causes []Cause
	// ServerSide are why it refuses the object from kubectl apply --server-side alone: that sends an explicit null on, a status, and
	// the managers of fields.
	ServerSide []Cause
	// Stored is the object as the API server keeps it: without unknown fields, nulls and status, and with defaults. It may be the very
	// object that was judged.
	Stored map[string]any
}

// Cause is one reason to refuse an object.
type Cause struct {
	// Type is that of the API server, or [UnknownField].
	Type field.ErrorType
	// Field is a path such as spec.imageDigestMirrors[0].source.
	Field string
	// Value is the value of the field, if it has one; where metadata has a wrong type, it names the one that is there.
	Value any
	// Detail is what the API server says about it, or, where metadata has a wrong type, the one that is wanted; it may be empty.
	Detail string
	// Known are the fields that there are in the place of an unknown one.
	Known []string
}

// UnknownField is the type of a cause that strict validation finds, as kubectl asks for it unless told otherwise.
const UnknownField field.ErrorType = "FieldUnknown"

// Judge returns what the API server makes of an object that kubectl apply creates. The object has an apiVersion and a kind, and
// its numbers are as those of an unstructured object. It stays as it is.
func (s *Schema) Judge(object map[string]any) Verdict {
	if s.plain.takesObject(object) {
		return Verdict{Stored: object}
	}
	return s.judgeAsAPIServer(object)
}

// judgeAsAPIServer judges any object, in many times the time.
func (s *Schema) judgeAsAPIServer(object map[string]any) Verdict {
	stored := runtime.DeepCopyJSON(object)
	metadata, _, unknown, err := objectmeta.GetObjectMetaWithOptions(stored, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return Verdict{Causes: []Cause{wrongType(err, stored)}}
	}
	unknown = append(unknown, pruning.PruneWithOptions(stored, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	asSent := runtime.DeepCopyJSON(stored)
	defaulting.PruneNonNullableNullsWithoutDefaults(stored, s.structural)
	defaulting.Default(stored, s.structural)
	if s.hasStatus {
		delete(stored, "status")
	}
	v := Verdict{Stored: stored, Causes: s.unknownFields(unknown)}
	if metadata != nil && len(metadata.ManagedFields) > 0 {
		v.ServerSide = append(v.ServerSide, Cause{Type: field.ErrorTypeForbidden, Field: "metadata.managedFields", Detail: "manifests do not set it"})
	}
	v.Causes = append(v.Causes, causesOf(validateMetadata(metadata))...)
	v.Causes = append(v.Causes, causesOf(s.validate(stored))...)
	slices.SortStableFunc(v.Causes, func(a, b Cause) int { return cmp.Compare(a.Field, b.Field) })
	if reflect.DeepEqual(asSent, stored) { // as nearly always
		return v
	}
	for _, cause := range causesOf(validation.ValidateCustomResource(nil, asSent, s.validator)) {
		known := slices.ContainsFunc(v.Causes, func(c Cause) bool { return c.Field == cause.Field })
		if cause.Type == field.ErrorTypeTypeInvalid && !known {
			v.ServerSide = append(v.ServerSide, cause)
		}
	}
	return v
}

// validate applies the schema, what it says of lists, and its rules in CEL, in the order of the API server.
func (s *Schema) validate(object map[string]any) field.ErrorList {
	ctx := context.Background() // nothing here waits
	found := validation.ValidateCustomResource(nil, object, s.validator)
	found = append(found, objectmeta.Validate(ctx, nil, object, s.structural, false)...)
	found = append(found, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if s.rules == nil || slices.ContainsFunc(found, blocksRules) {
		return found
	}
	broken, _ := s.rules.Validate(ctx, nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(found, broken...)
}

// blocksRules reports whether the API server tries no rules in CEL because of an error, for they could not be computed.
func blocksRules(err *field.Error) bool {
	switch err.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	}
	return false
}

// validateMetadata looks at what the schema leaves to the API server. A namespace does no harm to an object that has none: kubectl
// leaves it out. The API server itself sets the generation and the managers of fields. Objects are applied by their names.
func validateMetadata(metadata *metav1.ObjectMeta) field.ErrorList {
	path := field.NewPath("metadata")
	if metadata == nil {
		metadata = &metav1.ObjectMeta{}
	}
	if metadata.Name == "" {
		return field.ErrorList{field.Required(path.Child("name"), "kubectl apply identifies an object by its name")}
	}
	metadata.Namespace, metadata.Generation, metadata.ManagedFields = "", 0, nil
	found := metavalidation.ValidateObjectMeta(metadata, false, metavalidation.NameIsDNSSubdomain, path)
	slices.SortStableFunc(found, func(a, b *field.Error) int { return cmp.Compare(a.Error(), b.Error()) }) // those of annotations come in any order
	return found
}

func causesOf(found field.ErrorList) []Cause {
	causes := make([]Cause, len(found))
	for i, err := range found {
		causes[i] = Cause{Type: err.Type, Field: err.Field, Value: err.BadValue, Detail: err.Detail}
	}
	return causes
}

func (s *Schema) unknownFields(paths []string) []Cause {
	causes := make([]Cause, len(paths))
	for i, path := range paths {
		causes[i] = Cause{Type: UnknownField, Field: path, Known: s.knownBeside(path)}
	}
	return causes
}

// knownBeside returns the fields that the schema has where an unknown one stands.
func (s *Schema) knownBeside(path string) []string {
	at := s.structural
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		name, _, isItem := strings.Cut(step, "[")
		next, ok := at.Properties[name]
		if !ok {
			return nil
		}
		at = &next
		if isItem && at.Items != nil {
			at = at.Items
		}
	}
	names := make([]string, 0, len(at.Properties))
	for name := range at.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// wrongType says what is wrong with metadata that the API server cannot read at all.
func wrongType(err error, object map[string]any) Cause {
	var mistake *json.UnmarshalTypeError
	var noTime *time.ParseError
	switch {
	case errors.As(err, &noTime):
		path := "metadata"
		metadata, _ := object["metadata"].(map[string]any)
		for _, name := range []string{"creationTimestamp", "deletionTimestamp"} {
			if metadata[name] == noTime.Value {
				path += "." + name
				break
			}
		}
		return Cause{Type: field.ErrorTypeInvalid, Field: path, Value: noTime.Value, Detail: "the value must be a time such as 2006-01-02T15:04:05Z; or leave it out"}
	case !errors.As(err, &mistake):
		return Cause{Type: field.ErrorTypeInvalid, Field: "metadata", Value: object["metadata"], Detail: "the API server cannot read it"}
	}
	path := "metadata"
	if mistake.Field != "" {
		path += "." + mistake.Field
	}
	there := mistake.Value
	if there == "bool" {
		there = "true or false"
	} else {
		there = "a " + there
	}
	return Cause{Type: field.ErrorTypeTypeInvalid, Field: path, Value: there, Detail: nameOf(mistake.Type)}
}

// nameOf names a type of Go's as people who write YAML would.
func nameOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text, in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Pointer:
		return nameOf(t.Elem())
	}
	return "a mapping"
}
