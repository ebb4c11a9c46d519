// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history is what all nodes were given before, as ControllerRevisions keep it, which DaemonSets use for the same: a text with the
// sets that it was of. It is pure. The rules are C7 and C8 of docs/semantics.md.
package history

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mirrorset/mirrorset/internal/payload"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

const (
	// Limit is how many records are kept. The one that an undo names is kept besides.
	Limit = 10
	// Component is the value of the label app.kubernetes.io/component by which records are listed.
	Component = "rules-history"
	// maxSets bounds how many sets a record names, so that its object stays small enough for etcd.
	maxSets = 2000
)

// Labels are those of every record.
var Labels = map[string]string{
	"app.kubernetes.io/name":       "mirrorset",
	"app.kubernetes.io/component":  Component,
	"app.kubernetes.io/managed-by": payload.FieldManager,
}

// Set is a set as it was when a text was made of it.
type Set struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
	// Insecure is the annotation mirrorset.io/insecure-mirrors, whose changes make no generation.
	Insecure string `json:"insecure,omitempty"`
}

// Change is how a set differs from the record before.
type Change struct {
	// What is "created", "changed" or "deleted".
	What       string `json:"what"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Generation int64  `json:"generation,omitempty"`
	// By is the field manager that wrote the set last, as in kubectl-client-side-apply, and At when; both are empty for a set that was
	// deleted.
	By string      `json:"by,omitempty"`
	At metav1.Time `json:"at,omitzero"`
}

// Record is one payload that all nodes were given.
type Record struct {
	// Revision is the one under which it was published last; it grows where the same text is published again.
	Revision int64
	// Published is when its text was published for the first time.
	Published metav1.Time
	// Format, Digest, Text and Blockers are those of the payload.
	Format   int
	Digest   string
	Text     []byte
	Blockers map[string]string
	// SetsDigest names the sets that the text was of, as the ConfigMap does.
	SetsDigest string
	// Sets are these sets, as far as a record has room for them; Partial says that there were more.
	Sets    []Set
	Partial bool
	// Changes are what led to this text from the one before.
	Changes []Change
}

// content is what a ControllerRevision holds of a record. Its text is gzipped.
type content struct {
	Format     int               `json:"format"`
	Digest     string            `json:"digest"`
	Text       []byte            `json:"text"`
	Blockers   map[string]string `json:"blockers,omitempty"`
	SetsDigest string            `json:"setsDigest,omitempty"`
	Sets       []Set             `json:"sets,omitempty"`
	Partial    bool              `json:"partial,omitempty"`
	Changes    []Change          `json:"changes,omitempty"`
}

// Of returns the record of a payload, given the sets that it is of and what changed among them.
func Of(p payload.Payload, sets []Set, changes []Change) Record {
	slices.SortFunc(sets, func(a, b Set) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	return Record{
		Revision: p.Revision, Format: max(1, p.Format), Digest: p.Digest, Text: p.Text, Blockers: p.Blockers, SetsDigest: p.Sets,
		Sets: sets[:min(len(sets), maxSets)], Partial: len(sets) > maxSets, Changes: changes[:min(len(changes), maxSets)],
	}
}

// Payload returns what to publish to have the record in force again, under another revision.
func (r Record) Payload(revision int64) payload.Payload {
	return payload.Payload{Format: r.Format, Revision: revision, Digest: r.Digest, Text: r.Text, Blockers: r.Blockers, Sets: r.SetsDigest}
}

// Has reports whether the record is of this very state of a set. A record that has no room for all sets does not know of those that are left
// out, and says no.
func (r Record) Has(set Set) bool {
	return slices.Contains(r.Sets, set)
}

// Name is that of the ControllerRevision of a text.
func Name(digest string) string {
	_, sum, _ := strings.Cut(digest, ":")
	return payload.ConfigMapName + "-" + sum[:min(len(sum), 16)]
}

// Object returns the record as it is kept, in a namespace.
func (r Record) Object(namespace string) (*appsv1.ControllerRevision, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(r.Text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(content{r.Format, r.Digest, packed.Bytes(), r.Blockers, r.SetsDigest, r.Sets, r.Partial, r.Changes})
	if err != nil {
		return nil, err
	}
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Name(r.Digest), Labels: Labels},
		Revision:   r.Revision,
		Data:       runtime.RawExtension{Raw: data},
	}, nil
}

// Read returns the record that an object keeps. Its text is what the manager would publish, or it fails: whoever may write
// ControllerRevisions must not have an undo publish anything else than rules.
func Read(object *appsv1.ControllerRevision) (Record, error) {
	fail := func(err error) (Record, error) {
		return Record{}, fmt.Errorf("ControllerRevision %s/%s: %w", object.Namespace, object.Name, err)
	}
	var c content
	if err := json.Unmarshal(object.Data.Raw, &c); err != nil {
		return fail(err)
	}
	packed, err := gzip.NewReader(bytes.NewReader(c.Text))
	if err != nil {
		return fail(fmt.Errorf("text: %w", err))
	}
	text, err := io.ReadAll(io.LimitReader(packed, registriesconf.MaxText+1))
	if err != nil {
		return fail(fmt.Errorf("text: %w", err))
	}
	r := Record{
		Revision: object.Revision, Published: object.CreationTimestamp, Format: c.Format, Digest: c.Digest, Text: text, Blockers: c.Blockers,
		SetsDigest: c.SetsDigest, Sets: c.Sets, Partial: c.Partial, Changes: c.Changes,
	}
	if err := r.Payload(r.Revision).Check(); err != nil {
		return fail(err)
	}
	if _, err := registriesconf.Decode(text); err != nil {
		return fail(err)
	}
	return r, nil
}

// Sort puts records in the order of their revisions, the latest first.
func Sort(records []Record) {
	slices.SortFunc(records, func(a, b Record) int { return cmp.Compare(b.Revision, a.Revision) })
}

// Changes returns how sets differ from those of the record before, in the order of their kinds and names; every set is "created" where
// there is no record before. Who changed a set is added by the caller.
func Changes(before, after []Set) []Change {
	type name struct{ kind, name string }
	was := make(map[name]Set, len(before))
	for _, s := range before {
		was[name{s.Kind, s.Name}] = s
	}
	var all []Change
	for _, s := range after {
		old, there := was[name{s.Kind, s.Name}]
		delete(was, name{s.Kind, s.Name})
		switch {
		case !there || old.UID != s.UID:
			all = append(all, Change{What: "created", Kind: s.Kind, Name: s.Name, Generation: s.Generation})
		case old != s:
			all = append(all, Change{What: "changed", Kind: s.Kind, Name: s.Name, Generation: s.Generation})
		}
	}
	for _, s := range was {
		all = append(all, Change{What: "deleted", Kind: s.Kind, Name: s.Name})
	}
	slices.SortFunc(all, func(a, b Change) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	return all
}
