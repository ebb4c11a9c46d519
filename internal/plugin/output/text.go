// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
)

// Printable quotes a file's name that could do something to a terminal.
func Printable(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// PrintablePath does the same for the name in an error of the file system.
func PrintablePath(err error) error {
	var pathError *fs.PathError
	if !errors.As(err, &pathError) {
		return err
	}
	return fmt.Errorf("%s: %w", Printable(pathError.Path), pathError.Err)
}

// Plural counts things.
func Plural(count int, one, more string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, more)
}

// FirstOf names the first few, and counts the others.
func FirstOf(names []string, most int) string {
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Harmless writes out what could do something to a terminal, or have a line read otherwise than it is. The text of a node, a set or an annotation
// comes from others.
func Harmless(line string) string {
	var text strings.Builder
	for _, r := range line {
		if unicode.IsPrint(r) {
			text.WriteRune(r)
			continue
		}
		text.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
	}
	return text.String()
}
