// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"fmt"
	"regexp"
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

// plainName is what the API server lets an object be called.
var plainName = regexp.MustCompile(`^[a-z0-9.-]{1,253}$`)

// Names returns the names of the objects that the entries stand in for people to read, on one line and not too many.
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
	if !plainName.MatchString(o.Name) {
		return quote(o.Label())
	}
	return o.Label()
}
