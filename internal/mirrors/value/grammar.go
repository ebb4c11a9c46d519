// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import "strings"

// Kind is what a value stands for.
type Kind int

// The kinds.
const (
	// Mirror has no wildcard.
	Mirror Kind = iota
	// Source may be a wildcard, of hosts only.
	Source
)

// Takes reports whether a value is one of the kind, by the grammar of docs/reference/semantics.md, section 0. The API has the same grammar as regular
// expressions, and tests hold the two equal.
func (k Kind) Takes(text string) bool {
	host, path, hasPath := strings.Cut(text, "/")
	if domain, isWildcard := strings.CutPrefix(host, "*."); isWildcard {
		return k == Source && !hasPath && isDomain(domain)
	}
	domain, port, hasPort := strings.Cut(host, ":")
	return isDomain(domain) && (!hasPort || isPort(port)) && (!hasPath || isPath(path))
}

// Expression is the grammar of a kind as the API has it, so that anyone who has that expression can use [Kind.Takes] instead.
func (k Kind) Expression() string {
	const (
		label  = `[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?`
		mirror = label + `(?:\.` + label + `)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*`
	)
	if k == Source {
		return `^(?:\*(?:\.` + label + `)+|` + mirror + `)$`
	}
	return `^` + mirror + `$`
}

// isDomain reports whether a text is labels that are joined by dots.
func isDomain(text string) bool {
	for label := range strings.SplitSeq(text, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether a text is letters, digits and inner hyphens.
func isLabel(text string) bool {
	if text == "" || text[0] == '-' || text[len(text)-1] == '-' {
		return false
	}
	for i := range len(text) {
		if c := text[i]; !isSmall(c) && (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return true
}

// isPort reports whether a text is digits.
func isPort(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}

// isPath reports whether a text is components that are joined by slashes.
func isPath(text string) bool {
	for component := range strings.SplitSeq(text, "/") {
		if !isComponent(component) {
			return false
		}
	}
	return true
}

// isComponent reports whether a text is small letters and digits, joined by one dot, one or two underscores, or hyphens.
func isComponent(text string) bool {
	for {
		end := 0
		for end < len(text) && isSmall(text[end]) {
			end++
		}
		if end == 0 || end == len(text) {
			return end > 0
		}
		rest := text[end:]
		switch text = rest[1:]; rest[0] {
		case '.':
		case '_':
			text = strings.TrimPrefix(text, "_")
		case '-':
			text = strings.TrimLeft(text, "-")
		default:
			return false
		}
	}
}

// isSmall reports whether a character is a small letter or a digit.
func isSmall(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

// form is what a value of the kind looks like.
func (k Kind) form() string {
	if k == Source {
		return "host[:port][/path] or *.host"
	}
	return "host[:port][/path]"
}
