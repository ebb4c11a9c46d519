// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// keys are those of each kind of table, by its heading. Nothing stands before the first table.
var keys = map[string][]string{
	"":                    nil,
	"[[registry]]":        {"prefix", "location", "insecure", "blocked"},
	"[[registry.mirror]]": {"location", "insecure", "pull-from-mirror"},
}

// checkLines refuses text that has a line which [Encode] does not write. It holds nothing in memory, and comes before any reader of TOML: what
// TOML can say in a few bytes, such as a key of a million parts, takes a reader thousands of times as much, and two readers may take
// it for different things.
func checkLines(data []byte) error {
	table := ""
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text := strings.TrimSuffix(string(line), "\n")
		_, isTable := keys[text]
		key, value, isPair := strings.Cut(text, " = ")
		switch {
		case text == "", strings.HasPrefix(text, "#"):
		case isTable:
			table = text
		case !isPair || !isKey(key):
			return fmt.Errorf("line %d, %.100q, is not a line that Mirrorset writes", number, text)
		case !slices.Contains(keys[table], key):
			return fmt.Errorf("unknown key %.100q in line %d", key, number)
		case !isValue(value):
			return fmt.Errorf("line %d, %.100q, has a value that Mirrorset never writes", number, text)
		}
	}
	return nil
}

// isKey reports whether text is a key without quotes and of one part.
func isKey(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// isValue reports whether text is a truth, or begins and ends as a string in double quotes on one line does.
func isValue(text string) bool {
	if text == "true" || text == "false" {
		return true
	}
	return len(text) >= 2 && strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `"`) && !strings.HasPrefix(text, `"""`)
}
