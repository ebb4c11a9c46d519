// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrors

import (
	"cmp"
	"strconv"
)

// Policy decides if the source may be contacted where no mirror has an image.
type Policy string

// The policies of the API.
const (
	NeverContactSource    Policy = "NeverContactSource"
	AllowContactingSource Policy = "AllowContactingSource"
)

// Kind is a kind of set. Each is one value, which kinds are compared by.
type Kind struct {
	// Name is the one of the API, as in ImageDigestMirrorSet.
	Name string
	// ShortName is what kubectl takes in its place, as in idms.
	ShortName string
	// Field of the spec holds the entries.
	Field string
	// Mode is that of the references which the entries are about.
	Mode Mode
}

// Set is one object of any kind, as far as rules depend on it.
type Set struct {
	Object
	// Entries are in the order of the object.
	Entries []SetEntry
	// InsecureMirrors is the object's [InsecureAnnotation], as written.
	InsecureMirrors string
	// Enforcement is its [EnforcementAnnotation], as written.
	Enforcement string
}

// SetEntry is what one entry asks for, as written.
type SetEntry struct {
	Source  string
	Mirrors []string
	Policy  Policy
}

// Object names one set.
type Object struct {
	Kind *Kind
	Name string
}

// Arg names the object as kubectl takes it for an argument, as in idms/site.
func (o Object) Arg() string {
	return o.Kind.ShortName + "/" + o.Name
}

// Label names the object among those of all kinds: one about digests by its name alone, and any other as [Object.Arg] does.
func (o Object) Label() string {
	if o.Kind == nil || o.Kind.Mode == ByDigest {
		return o.Name
	}
	return o.Arg()
}

func compareObjects(a, b Object) int {
	if order := cmp.Compare(a.Name, b.Name); order != 0 || a.Kind == b.Kind {
		return order
	}
	return cmp.Compare(a.Kind.Name, b.Kind.Name)
}

// Entry names one entry of a set.
type Entry struct {
	Object
	// Index counts from 0, as in a JSON path. It is below 0 for an annotation of the set, which is not an entry.
	Index int
}

// OutsideEntries stands for an annotation of the object, in place of an entry.
func (o Object) OutsideEntries() Entry {
	return Entry{Object: o, Index: -1}
}

// Path is the entry's place in its object, as a JSON path.
func (e Entry) Path() string {
	if e.Index < 0 {
		return "metadata.annotations"
	}
	return e.Kind.path(strconv.Itoa(e.Index))
}

// path names several entries together.
func (k *Kind) path(indexes string) string {
	return "spec." + k.Field + "[" + indexes + "]"
}

func compareEntries(a, b Entry) int {
	return cmp.Or(compareObjects(a.Object, b.Object), cmp.Compare(a.Index, b.Index))
}

// Objects returns the objects that contain the entries, each once, in the entries' order.
func Objects(entries []Entry) []Object {
	seen := make(map[Object]bool, len(entries))
	objects := make([]Object, 0, len(entries))
	for _, e := range entries {
		if !seen[e.Object] {
			seen[e.Object] = true
			objects = append(objects, e.Object)
		}
	}
	return objects
}
