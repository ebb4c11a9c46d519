// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history is what all nodes were given before, as ControllerRevisions keep it, which DaemonSets use for the same: a text with the
// sets that it was of. It is pure. The rules are C7 and C8 of docs/reference/semantics.md.
package history

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// Limit is how many texts are kept. The one that an undo names is kept besides.
const Limit = 10

// Record is one payload that all nodes were given.
type Record struct {
	// Revision is the one under which it was published last; it grows where the same text is published again.
	Revision int64
	// Published is when this text was first published for these sets.
	Published metav1.Time
	// Format, Digest, Text, Blockers and Shadow are those of the payload.
	Format   int
	Digest   string
	Text     []byte
	Blockers map[string]string
	Shadow   map[string]string
	// SetsDigest names the sets that the text was of, as the ConfigMap does.
	SetsDigest string
	// Sets are these sets, by kind and name.
	Sets []Set
	// Changes are what led from the text before to this one, by kind and name.
	Changes []Change
	// Partial says that there were more sets or changes than these, which were not known or found no room in an object.
	Partial bool
}

// Of returns the record of a payload that was made of these sets. Before is what all nodes had until then; nil where nothing tells. Where
// that is the same text, made of other sets, its record gives way to this one, which has its changes too.
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

// OfUnknown returns the record of a payload of which nobody knows the sets any more.
func OfUnknown(p payload.Payload) Record {
	r := withoutSets(p)
	r.Partial = true
	return r
}

func withoutSets(p payload.Payload) Record {
	return Record{Revision: p.Revision, Format: max(1, p.Format), Digest: p.Digest, Text: p.Text, Blockers: p.Blockers, Shadow: p.Shadow, SetsDigest: p.Sets}
}

// Payload returns what to publish to have the record in force again, under another revision.
func (r *Record) Payload(revision int64) payload.Payload {
	return payload.Payload{Format: r.Format, Revision: revision, Digest: r.Digest, Text: r.Text, Blockers: r.Blockers, Shadow: r.Shadow, Sets: r.SetsDigest}
}

// Has reports whether the record is of this very state of a set. Where it is partial, it does not know of all sets, and says no.
func (r *Record) Has(set Set) bool {
	at, found := slices.BinarySearchFunc(r.Sets, set, compareSets)
	return found && r.Sets[at] == set
}

// Sort puts records in the order of their revisions, the latest first.
func Sort(records []Record) {
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(b.Revision, a.Revision) })
}
