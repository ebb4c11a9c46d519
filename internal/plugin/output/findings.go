// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mirrorset/mirrorset/docs"
	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// Entry names an element of a set.
type Entry struct {
	Set string `json:"set"`
	// Kind is that of the set, as in ImageTagMirrorSet.
	Kind string `json:"kind"`
	// Path is as in spec.imageDigestMirrors[0].
	Path string `json:"path"`

	of mirrors.Object
}

// SetName names the entry's set for people.
func (e Entry) SetName() string {
	return e.of.String()
}

// Finding is a warning in JSON.
type Finding struct {
	Reason string   `json:"reason"`
	Sets   []string `json:"sets"`
	// Path is absent where the entries are those of several sets.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Docs is the address of what explains the reason.
	Docs string `json:"docs"`

	from []mirrors.Entry
}

// SetNames names the sets concerned for people.
func (f Finding) SetNames() string {
	return mirrors.Names(f.from)
}

// Warn prints a line for each finding. It is a warning, which counts for --strict, unless the set is most likely right, or says itself
// what is found.
func Warn(stderr io.Writer, findings []mirrors.Finding) {
	for _, f := range findings {
		where := ""
		if path := f.Path(); path != "" {
			where = path + ": "
		}
		level := "warning"
		if f.Reason == mirrors.DockerHubNamespace || f.Reason == mirrors.ShadowMode {
			level = "note"
		}
		fmt.Fprintf(stderr, "%s: %s: %s: %s%s\n", level, f.Reason, mirrors.Names(f.Entries), where, f.Message)
	}
}

// Pull is one image with what was found of it.
type Pull struct {
	Image mirrors.Reference
	mirrors.Resolution
}

// Touching returns the findings about pulls: about the sources that decide, and about entries that might have, those that are not in
// force, or not for the images that their author means. It leaves out findings about tags where no image is named by tag, and so for
// digests. Findings about mirrors that a source inherits are at the broader source (T4).
func Touching(findings []mirrors.Finding, pulls ...Pull) (touched []mirrors.Finding) {
	for _, f := range findings {
		if slices.ContainsFunc(pulls, func(p Pull) bool { return p.concerns(f) }) {
			touched = append(touched, f)
		}
	}
	return touched
}

func (p *Pull) concerns(f mirrors.Finding) bool {
	if !f.Concerns(p.Image.Mode) {
		return false
	}
	switch f.Reason {
	case mirrors.DockerHubNamespace:
		return p.Image.Name == string(mirrors.OfficialImage(f.Source))
	case mirrors.ShadowMode, mirrors.ShadowTooLarge: // which are about a set
		return p.Rule != nil && slices.ContainsFunc(p.Rule.Entries(), func(e mirrors.Entry) bool { return e.Object == f.Entries[0].Object })
	}
	switch f.Class() {
	case mirrors.LeftOut, mirrors.NoEffect:
		return true
	case mirrors.Attention:
		return p.isDecidedBy(f.Source) || p.isInheritedFrom(f.Source) && slices.ContainsFunc(f.Entries, p.inherits)
	}
	return p.isDecidedBy(f.Source)
}

// isInheritedFrom leaves out what is found of other sources that inherit the same.
func (p *Pull) isInheritedFrom(source mirrors.Scope) bool {
	return p.Rule != nil && slices.ContainsFunc(p.Rule.Inherited, func(i mirrors.Inheritance) bool { return i.Source == source })
}

func (p *Pull) isDecidedBy(source mirrors.Scope) bool {
	return p.Rule != nil && p.Rule.Source == source
}

func (p *Pull) inherits(e mirrors.Entry) bool {
	return p.Rule != nil && slices.ContainsFunc(p.Rule.Inherited, func(i mirrors.Inheritance) bool { return slices.Contains(i.From, e) })
}

// EntriesOf returns them as they are printed.
func EntriesOf(from []mirrors.Entry) []Entry {
	all := make([]Entry, len(from))
	for i, e := range from {
		all[i] = Entry{Set: e.Name, Kind: e.Kind.Name, Path: e.Path(), of: e.Object}
	}
	return all
}

// DocsOf is the address of what explains a reason.
func DocsOf(reason string) string {
	return docs.URL + "reference/findings.md#" + strings.ToLower(reason)
}

// FindingsOf returns them as they are printed.
func FindingsOf(found []mirrors.Finding) []Finding {
	all := make([]Finding, len(found))
	for i, f := range found {
		all[i] = Finding{Reason: string(f.Reason), Sets: SetsOf(f.Entries), Path: f.Path(), Message: f.Message, Docs: DocsOf(string(f.Reason)), from: f.Entries}
	}
	return all
}

// SetsOf returns the labels of the sets that the entries stand in, as they are printed.
func SetsOf(from []mirrors.Entry) []string {
	objects := mirrors.Objects(from)
	names := make([]string, len(objects))
	for i, o := range objects {
		names[i] = o.Label()
	}
	return names
}
