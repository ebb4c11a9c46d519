// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package value

import "regexp"

// Kind is what a value stands for.
type Kind int

// The kinds.
const (
	// Mirror has no wildcard.
	Mirror Kind = iota
	// Source may be a wildcard, of hosts only.
	Source
)

// The grammar of docs/semantics.md, section 0. A test holds these expressions against the patterns of the generated CRD.
const (
	label     = `[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?`
	component = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
	location  = label + `(?:\.` + label + `)*(?::[0-9]+)?(?:/` + component + `)*`
)

var grammars = [...]*regexp.Regexp{
	Mirror: regexp.MustCompile(`^` + location + `$`),
	Source: regexp.MustCompile(`^(?:\*(?:\.` + label + `)+|` + location + `)$`),
}

// Takes reports whether a value is one of the kind.
func (k Kind) Takes(text string) bool {
	return grammars[k].MatchString(text)
}

// form is what a value of the kind looks like.
func (k Kind) form() string {
	if k == Source {
		return "host[:port][/path] or *.host"
	}
	return "host[:port][/path]"
}
