// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
)

// text is a comment or a string of a file.
type text struct {
	line    int // of its first line
	content string
}

var (
	// markup begins a line that Markdown would not take for plain text.
	markup = regexp.MustCompile(`^ *(?:#|>|=+$|-+$|\||<)`)
	// example begins a line of a help text or a comment that is no sentence: indented, or a command.
	example = regexp.MustCompile("^(?: {4}|\t| {2,}[^-* ]|\\$ )")
)

// write returns a Markdown file in which each text is a paragraph. For each line of the file, it also returns the line of
// the source.
func write(texts []text) (string, []int) {
	var out strings.Builder
	var lines []int
	for _, t := range texts {
		number := t.line
		for line := range strings.SplitSeq(t.content, "\n") {
			line = strings.TrimRight(line, " \t\r")
			switch {
			case example.MatchString(line):
				line = ""
			case markup.MatchString(line):
				line = `\` + strings.TrimLeft(line, " ")
			}
			out.WriteString(line + "\n")
			lines = append(lines, number)
			number++
		}
		out.WriteString("\n")
		lines = append(lines, number)
	}
	return out.String(), lines
}
