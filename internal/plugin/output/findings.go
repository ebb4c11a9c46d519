// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"fmt"
	"io"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Entry names an element of a set.
type Entry struct {
	Set string `json:"set"`
	// Path is as in spec.imageDigestMirrors[0].
	Path string `json:"path"`
}

// Finding is a warning in JSON.
type Finding struct {
	Reason string   `json:"reason"`
	Sets   []string `json:"sets"`
	// Path is absent where the entries are those of several sets.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// Warn prints a line for each finding.
func Warn(stderr io.Writer, findings []mirrors.Finding) {
	for _, f := range findings {
		where := ""
		if path := f.Path(); path != "" {
			where = path + ": "
		}
		fmt.Fprintf(stderr, "warning: %s: %s: %s%s\n", f.Reason, mirrors.Names(f.Entries), where, f.Message)
	}
}

// Touching returns the findings about the sources that decide, and about entries that might have: those that are not in
// force, or not for the images that their author means.
func Touching(findings []mirrors.Finding, resolutions ...mirrors.Resolution) []mirrors.Finding {
	deciding := make(map[mirrors.Scope]bool)
	for i := range resolutions {
		if rule := resolutions[i].Rule; rule != nil {
			deciding[rule.Source] = true
		}
	}
	var touched []mirrors.Finding
	for _, f := range findings {
		switch f.Class() {
		case mirrors.LeftOut, mirrors.NoEffect:
			touched = append(touched, f)
		default:
			if deciding[f.Source] {
				touched = append(touched, f)
			}
		}
	}
	return touched
}

// EntriesOf returns them as they are printed.
func EntriesOf(from []mirrors.Entry) []Entry {
	all := make([]Entry, len(from))
	for i, e := range from {
		all[i] = Entry{Set: e.Name, Path: e.Path()}
	}
	return all
}

// FindingsOf returns them as they are printed.
func FindingsOf(found []mirrors.Finding) []Finding {
	all := make([]Finding, len(found))
	for i, f := range found {
		all[i] = Finding{Reason: string(f.Reason), Sets: SetsOf(f.Entries), Path: f.Path(), Message: f.Message}
	}
	return all
}

// SetsOf returns the names of the sets that the entries stand in, as they are printed.
func SetsOf(from []mirrors.Entry) []string {
	objects := mirrors.Objects(from)
	names := make([]string, len(objects))
	for i, o := range objects {
		names[i] = o.Name
	}
	return names
}

// Names names sets for people.
func Names(sets []string) string {
	objects := make([]mirrors.Object, len(sets))
	for i, name := range sets {
		objects[i].Name = name
	}
	return mirrors.NamesOf(objects)
}
