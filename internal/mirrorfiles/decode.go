// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrorfiles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	kjson "sigs.k8s.io/json"
)

// Decode fills in what a document in JSON says, and returns the fields that have no place, each as a sentence. Its errors name the
// field and what belongs there, and no value, which could be a secret.
func Decode(data []byte, into any) (unknown []string, err error) {
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
	return fmt.Errorf("field %q is %s; it must be %s", fieldAt(data, wrong.Offset), is, wanted(wrong.Type))
}

// fieldAt names the field whose value is being read at an offset, with the keys and indexes that lead there.
func fieldAt(data []byte, offset int64) string {
	type level struct {
		key   string
		index int
		list  bool
	}
	var levels []level
	decoder := json.NewDecoder(bytes.NewReader(data))
	for isKey := false; ; {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		last := len(levels) - 1
		delim, isDelim := token.(json.Delim)
		if isDelim && (delim == '}' || delim == ']') {
			levels = levels[:last]
			isKey = last > 0 && !levels[last-1].list
			continue
		}
		if text, ok := token.(string); ok && isKey {
			levels[last].key, isKey = text, false
			continue
		}
		if last >= 0 && levels[last].list {
			levels[last].index++
		}
		if decoder.InputOffset() >= offset {
			break
		}
		if isDelim {
			levels = append(levels, level{list: delim == '[', index: -1})
		}
		isKey = len(levels) > 0 && !levels[len(levels)-1].list
	}
	var field strings.Builder
	for _, l := range levels {
		if l.list {
			fmt.Fprintf(&field, "[%d]", l.index)
		} else {
			fmt.Fprintf(&field, ".%s", l.key)
		}
	}
	return strings.TrimPrefix(field.String(), ".")
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
