// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history holds what all nodes were given earlier: texts, each with the sets that it was made from. ControllerRevisions store it,
// as they do for DaemonSets. The package is pure. The rules are C7 and C8 of docs/reference/semantics.md.
package history

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// Limit is how many texts are kept, not counting the text that an undo names.
const Limit = 10

// Record is one payload that all nodes were given.
type Record struct {
	// Revision is the last revision that the text was published as. It grows when the text is published again.
	Revision int64
	// Published is when this text was first published for these sets.
	Published metav1.Time
	// Format, Digest, Text, Blockers and Shadow are copied from the payload.
	Format   int
	Digest   string
	Text     []byte
	Blockers map[string]string
	Shadow   map[string]string
	// SetsDigest identifies the sets that the text was made from, as it does in the ConfigMap.
	SetsDigest string
	// Sets are these sets, by kind and name.
	Sets []Set
	// Changes are the changes that led from the previous text to this one, by kind and name.
	Changes []Change
	// Partial means that there were more sets or changes than these. The others were not known, or the object had no room for them.
	Partial bool
}

// Of returns the record of a payload that was made from these sets. Before is what all nodes had until then, or nil where that is not
// known. If the earlier record has the same text but other sets, this one replaces it and includes its changes.
func Of(p payload.Payload, sets []kinds.Set, before *Record) Record {
	r := withoutSets(p)
	r.Sets = make([]Set, len(sets))
	for i := range sets {
		r.Sets[i] = SetOf(&sets[i])
	}
	slices.SortFunc(r.Sets, compareSets)
	r.Partial = before != nil && before.Partial
	r.Changes = changes(before, sets)
	if before != nil && before.Digest == p.Digest {
		r.Changes = since(before.Changes, r.Changes)
	}
	return r
}

// OfUnknown returns the record of a payload whose sets are no longer known.
func OfUnknown(p payload.Payload) Record {
	r := withoutSets(p)
	r.Partial = true
	return r
}

func withoutSets(p payload.Payload) Record {
	return Record{Revision: p.Revision, Format: max(1, p.Format), Digest: p.Digest, Text: p.Text, Blockers: p.Blockers, Shadow: p.Shadow, SetsDigest: p.Sets}
}

// Payload returns what to publish, under another revision, to put the record in force again.
func (r *Record) Payload(revision int64) payload.Payload {
	return payload.Payload{Format: r.Format, Revision: revision, Digest: r.Digest, Text: r.Text, Blockers: r.Blockers, Shadow: r.Shadow, Sets: r.SetsDigest}
}

// Has reports whether the record was made from exactly this state of a set. A partial record does not have all sets, so Has returns false
// for it.
func (r *Record) Has(set Set) bool {
	at, found := slices.BinarySearchFunc(r.Sets, set, compareSets)
	return found && r.Sets[at] == set
}

// Sort sorts records by revision, the latest first.
func Sort(records []Record) {
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(b.Revision, a.Revision) })
}
