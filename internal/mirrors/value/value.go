// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package value is the grammar of sources and mirrors (docs/reference/semantics.md, section 0). It also writes the messages about an
// invalid value: the value itself, on one line and shortened, each part of it that the grammar does not allow, and what to write instead.
// It is pure.
package value

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// What is shown of a value.
const (
	// maxQuoted bounds it, in characters.
	maxQuoted = 100
	// maxEscaped bounds it, in bytes, where most of its characters take up to ten to be shown.
	maxEscaped = 3 * maxQuoted
	longest    = len(`\U0010ffff`)
)

// Quote makes any value safe to print on one line. A long one is cut in the middle, because long values often differ at their ends.
func Quote[Text ~string](text Text) string {
	half := maxQuoted / 2
	if utf8.RuneCountInString(string(text)) <= maxQuoted {
		quoted := strconv.Quote(string(text))
		if len(quoted) <= maxEscaped {
			return quoted
		}
		half = maxEscaped / longest / 2
	}
	runes := []rune(string(text)) // what is no character becomes the one for that
	if len(strconv.Quote(string(runes[:half]))+strconv.Quote(string(runes[len(runes)-half:]))) > maxEscaped {
		half = maxEscaped / longest / 2
	}
	head, tail := strconv.Quote(string(runes[:half])), strconv.Quote(string(runes[len(runes)-half:]))
	return fmt.Sprintf("%s...%s", head[:len(head)-1], tail[1:])
}
