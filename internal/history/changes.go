// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// Set is the state of a set.
type Set struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
	// Insecure and Enforcement are digests of the annotations mirrorset.io/insecure-mirrors and mirrorset.io/enforcement, whose changes make no
	// generation; empty where the set has none.
	Insecure    string `json:"insecure,omitempty"`
	Enforcement string `json:"enforcement,omitempty"`
}

// SetOf returns the current state of a set.
func SetOf(s *kinds.Set) Set {
	return Set{
		Kind: s.Kind.Name, Name: s.GetName(), UID: string(s.GetUID()), Generation: s.GetGeneration(),
		Insecure: annotated(s, mirrors.InsecureAnnotation), Enforcement: annotated(s, mirrors.EnforcementAnnotation),
	}
}

// annotated returns a digest of an annotation, which can be 256 KiB large, or an empty text if the set does not have the annotation.
func annotated(s *kinds.Set, key string) string {
	value := s.GetAnnotations()[key]
	if value == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:8])
}

func compareSets(a, b Set) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// The ways in which sets change.
const (
	Created = "created"
	Changed = "changed"
	Deleted = "deleted"
)

// Change describes how a set differs from its state at the previous text.
type Change struct {
	// What is [Created], [Changed] or [Deleted].
	What       string `json:"what"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Generation int64  `json:"generation,omitempty"`
	// By is the field manager that wrote the set, for example kubectl-client-side-apply. At is when. Both are empty for a deleted set.
	By string      `json:"by,omitempty"`
	At metav1.Time `json:"at,omitzero"`
}

func compareChanges(a, b Change) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// changes returns how sets differ from those of the previous record. Without a previous record, every set counts as created. A partial
// record says nothing about sets that it does not name.
func changes(before *Record, after []kinds.Set) []Change {
	was := make(map[Set]Set) // keyed by states that have only a kind and a name
	var all []Change
	if before != nil {
		for _, s := range before.Sets {
			was[Set{Kind: s.Kind, Name: s.Name}] = s
		}
	}
	for i := range after {
		now := SetOf(&after[i])
		name := Set{Kind: now.Kind, Name: now.Name}
		old, there := was[name]
		delete(was, name)
		change := Change{What: Created, Kind: now.Kind, Name: now.Name, Generation: now.Generation}
		switch {
		case there && old == now, !there && before != nil && before.Partial:
			continue
		case there && old.UID == now.UID:
			change.What = Changed
		}
		change.lastWriter(&after[i], old, now)
		all = append(all, change)
	}
	for _, s := range was {
		all = append(all, Change{What: Deleted, Kind: s.Kind, Name: s.Name})
	}
	slices.SortFunc(all, compareChanges)
	return all
}

// since combines the changes that led to a text with later changes that did not change the text.
func since(earlier, later []Change) []Change {
	all := slices.Clone(later)
	for _, e := range earlier {
		at, again := slices.BinarySearchFunc(later, e, compareChanges)
		switch {
		case !again:
			all = append(all, e)
		case e.What == Created && all[at].What == Changed:
			all[at].What = Created
		}
	}
	slices.SortFunc(all, compareChanges)
	return all
}

// lastWriter adds who wrote a change, and when. This is the owner of the set's entries. If the entries did not change, it is the owner of
// the annotation that changed. If nothing owns them, for example because entries were removed, it is the last writer of any field. Writes
// of the status do not count.
func (c *Change) lastWriter(s *kinds.Set, old, now Set) {
	path := []string{"f:spec", "f:" + s.Kind.Field}
	if c.What == Changed && c.Generation == old.Generation {
		annotation := mirrors.InsecureAnnotation
		if now.Enforcement != old.Enforcement { // which matters more than which mirrors are insecure
			annotation = mirrors.EnforcementAnnotation
		}
		path = []string{"f:metadata", "f:annotations", "f:" + annotation}
	}
	owned := false
	for _, entry := range s.GetManagedFields() {
		if entry.Subresource != "" || entry.Manager == payload.FieldManager || entry.Time == nil {
			continue
		}
		owns := owns(entry.FieldsV1, path)
		if c.By == "" || owns && !owned || owns == owned && !entry.Time.Before(&c.At) {
			c.By, c.At, owned = entry.Manager, *entry.Time, owns
		}
	}
}

// owns reports whether an object's managed fields include the one at a path.
func owns(fields *metav1.FieldsV1, path []string) bool {
	if fields == nil {
		return false
	}
	at := fields.GetRawBytes()
	for _, name := range path {
		var below map[string]json.RawMessage
		if json.Unmarshal(at, &below) != nil || below[name] == nil {
			return false
		}
		at = below[name]
	}
	return true
}
