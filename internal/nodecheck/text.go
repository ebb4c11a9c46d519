// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecheck

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"
)

// why returns an error's text without the path, which the message names already.
func why(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return clip(err.Error())
}

const maxText = 150

// clip keeps a text from elsewhere on one line of a sane length.
func clip(text string) string {
	printable := func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}
	return fmt.Sprintf("%.*s", maxText, strings.Map(printable, text)) + more(text)
}

// quote makes any value safe to print on one line.
func quote(value string) string {
	return fmt.Sprintf("%.*q", maxText, value) + more(value)
}

func more(text string) string {
	if utf8.RuneCountInString(text) > maxText {
		return "..."
	}
	return ""
}
