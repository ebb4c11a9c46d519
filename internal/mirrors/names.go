// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"strings"

	"github.com/mirrorset/mirrorset/internal/mirrors/value"
)

// maxNamed keeps a message readable, whatever the input.
const maxNamed = 10

func quote[Text ~string](text Text) string { return value.Quote(text) }

// enumerate joins the first values, and counts the others.
func enumerate(values []string) string {
	text := strings.Join(values[:min(len(values), maxNamed)], ", ")
	if more := len(values) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// quoteAll quotes the values that [enumerate] will name.
func quoteAll(values []Scope) []string {
	quoted := make([]string, len(values))
	for i := range values[:min(len(values), maxNamed)] {
		quoted[i] = quote(values[i])
	}
	return quoted
}

// Sources names sources for people, on one line and not too many.
func Sources(sources []Scope) string {
	return enumerate(quoteAll(sources))
}

// isPlain reports whether the API server lets an object be called that.
func isPlain(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-'
	})
}

// Names returns the names of the objects that contain the entries, for people, on one line and limited in number.
func Names(entries []Entry) string {
	return NamesOf(Objects(entries))
}

// NamesOf names objects as [Names] does.
func NamesOf(objects []Object) string {
	names := make([]string, len(objects))
	for i, o := range objects[:min(len(objects), maxNamed)] {
		names[i] = o.String()
	}
	return enumerate(names)
}

// String is the label of the object for people, on one line.
func (o Object) String() string {
	if !isPlain(o.Name) {
		return quote(o.Label())
	}
	return o.Label()
}
