// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// width is the longest line of prose, as test/docs wants it.
const width = 120

var (
	// flags are flags and a lone hyphen within a sentence.
	flags = regexp.MustCompile(`(^|[\s(])(--?[a-z][a-z-]*(?:=[^\s.,;:)]+)?|-)($|[\s.,;:)])`)
	// lowerNames are names that stay in lower case at the beginning of a sentence.
	lowerNames = regexp.MustCompile(`^(containerd|kubectl|macOS)\b`)
	// markup is what cobra has in its texts about completion.
	markup = regexp.MustCompile(`(?m)^#+ `)
	marks  = strings.NewReplacer(`\`, `\\`, "*", `\*`, "<", `\<`, ">", `\>`, "_", `\_`)
)

// prose renders a text of paragraphs as Markdown. A paragraph that is indented becomes a code block.
func prose(text string) string {
	var parts []string
	for _, paragraph := range strings.Split(markup.ReplaceAllString(strings.TrimSpace(text), ""), "\n\n") {
		if strings.HasPrefix(paragraph, "\t") || strings.HasPrefix(paragraph, "  ") {
			parts = append(parts, "```text\n"+dedent(paragraph)+"\n```")
		} else {
			parts = append(parts, wrap(escape(sentence(paragraph)), ""))
		}
	}
	return strings.Join(parts, "\n\n")
}

// item renders a flag as an item of a list.
func item(o option) string {
	return wrap("- "+o.Lead()+": "+o.Text(), "  ")
}

func dedent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimPrefix(lines[i], "\t"), "  ")
	}
	return strings.Join(lines, "\n")
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	first, size := utf8.DecodeRuneInString(text)
	if !lowerNames.MatchString(text) {
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if !strings.ContainsAny(text[len(text)-1:], ".:!?") {
		text += "."
	}
	return text
}

// escape formats flags as code, and takes the meaning of Markdown from all other text.
func escape(text string) string {
	return flags.ReplaceAllString(marks.Replace(text), "$1`$2`$3")
}

// wrap breaks a text into lines. All lines but the first begin with the indent.
func wrap(text, indent string) string {
	var lines []string
	line := ""
	for _, word := range words(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	return strings.Join(append(lines, line), "\n")
}

// words are the words of a text. Code with spaces in it is one word.
func words(text string) []string {
	var found []string
	for _, field := range strings.Fields(text) {
		if last := len(found) - 1; last >= 0 && strings.Count(found[last], "`")%2 == 1 {
			found[last] += " " + field
		} else {
			found = append(found, field)
		}
	}
	return found
}
