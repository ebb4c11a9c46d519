// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	kjson "sigs.k8s.io/json"
)

// decode fills in what a document in JSON says, and returns the fields that have no place, each as a sentence. Its errors name the
// field and what belongs there, and no value, which could be a secret.
func decode(data []byte, into any) (unknown []string, err error) {
	found, err := kjson.UnmarshalStrict(data, into)
	if err != nil {
		return nil, readable(data, into, err)
	}
	for _, field := range found {
		unknown = append(unknown, field.Error())
	}
	return unknown, nil
}

// readable says of an error what a person who never saw our types can do about it.
func readable(data []byte, into any, err error) error {
	var wrong *json.UnmarshalTypeError
	if again := json.Unmarshal(data, reflect.New(reflect.TypeOf(into).Elem()).Interface()); !errors.As(again, &wrong) {
		return err
	}
	words := map[string]string{"string": "a text", "object": "a mapping", "array": "a list", "bool": "true or false", "number": "a number"}
	is, ok := words[wrong.Value]
	if !ok {
		is = "something else"
	}
	return fmt.Errorf("field %q is %s; it has to be %s", wrong.Field, is, wanted(wrong.Type))
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Pointer:
		return wanted(t.Elem())
	}
	return "a mapping"
}
