// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registriesconf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// keys are the keys of each kind of table, by its heading. There are none before the first table.
var keys = map[string][]string{
	"":                    nil,
	"[[registry]]":        {"prefix", "location", "insecure", "blocked"},
	"[[registry.mirror]]": {"location", "insecure", "pull-from-mirror"},
}

// checkLines refuses text with a line that [Encode] does not write. It needs no memory, and runs before any TOML parser. A few bytes of
// TOML, such as a key of a million parts, can take a parser thousands of times as much memory. Two parsers may also disagree about their
// meaning.
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

// isKey reports whether text is a single key without quotes.
func isKey(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// isValue reports whether text is a boolean, or begins and ends like a string in double quotes on one line.
func isValue(text string) bool {
	if text == "true" || text == "false" {
		return true
	}
	return len(text) >= 2 && strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `"`) && !strings.HasPrefix(text, `"""`)
}
