// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/kinds"
	"github.com/mirrorset/mirrorset/internal/mirrors"
	"github.com/mirrorset/mirrorset/internal/payload"
)

const revision = 1_800_000_000_000

// of is how a test says a set: name, UID, generation and its annotations.
type of struct {
	name, uid   string
	generation  int64
	insecure    string
	enforcement string
	written     []metav1.ManagedFieldsEntry
}

func sets(t *testing.T, all ...of) []kinds.Set {
	t.Helper()
	var list configv1.ImageDigestMirrorSetList
	for _, s := range all {
		object := configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: s.name, UID: types.UID(s.uid), Generation: s.generation, ManagedFields: s.written}}
		object.Annotations = map[string]string{mirrors.InsecureAnnotation: s.insecure, mirrors.EnforcementAnnotation: s.enforcement}
		list.Items = append(list.Items, object)
	}
	made, err := kinds.Digest.FromList(&list)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// The fields that field managers own.
const (
	entries    = `{"f:spec": {".": {}, "f:imageDigestMirrors": {}}}`
	annotation = `{"f:metadata": {"f:annotations": {".": {}, "f:mirrorset.io/insecure-mirrors": {}}}}`
	enforcing  = `{"f:metadata": {"f:annotations": {".": {}, "f:mirrorset.io/enforcement": {}}}}`
	labels     = `{"f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {}}`
)

// wrote is an entry of managedFields, so many minutes after some hour.
func wrote(manager, fields string, minute int) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Time: at(minute), FieldsV1: metav1.NewFieldsV1(fields)}
}

func wroteStatus(manager string, minute int) metav1.ManagedFieldsEntry {
	entry := wrote(manager, entries, minute)
	entry.Subresource = "status"
	return entry
}

func at(minute int) *metav1.Time {
	return &metav1.Time{Time: time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC)}
}

func TestARecordSaysHowSetsChangedAndWhoWroteThem(t *testing.T) {
	before := history.Of(payload.New(revision, nil), sets(t,
		of{name: "same", uid: "1", generation: 1}, of{name: "edited", uid: "2", generation: 1}, of{name: "gone", uid: "3", generation: 7},
		of{name: "anew", uid: "4", generation: 2}, of{name: "insecure", uid: "5", generation: 1, insecure: "m.com"},
		of{name: "watching", uid: "8", generation: 1, insecure: "m.com", enforcement: "shadow"}), nil)
	for _, c := range before.Changes {
		if c.What != history.Created {
			t.Errorf("without a record before, %s is %s", c.Name, c.What)
		}
	}
	after := history.Of(payload.New(revision+1, []byte("other")), sets(t,
		of{name: "new", uid: "7", generation: 1, written: []metav1.ManagedFieldsEntry{wrote("kubectl-create", entries, 1)}},
		of{name: "edited", uid: "2", generation: 2, written: []metav1.ManagedFieldsEntry{
			wrote("argocd", entries, 1), wrote("kubectl-edit", entries, 3), wrote("helm", entries, 2), wrote(payload.FieldManager, entries, 4),
			wroteStatus("other", 5), {Manager: "timeless"}, wrote("kubectl-label", labels, 6), wrote("kubectl-annotate", annotation, 7),
		}},
		of{name: "same", uid: "1", generation: 1, written: []metav1.ManagedFieldsEntry{wrote("kubectl-label", labels, 9)}},
		of{name: "anew", uid: "6", generation: 1, written: []metav1.ManagedFieldsEntry{wrote("first", labels, 1), wrote("second", "damaged", 3), {Manager: "third", Time: at(2)}}},
		of{name: "insecure", uid: "5", generation: 1, insecure: "m.com, n.com", written: []metav1.ManagedFieldsEntry{
			wrote("kubectl-edit", entries, 6), wrote("kubectl-annotate", annotation, 5),
		}},
		of{name: "watching", uid: "8", generation: 1, enforcement: "enforce", written: []metav1.ManagedFieldsEntry{
			wrote("kubectl-edit", entries, 6), wrote("argocd", enforcing, 4), wrote("kubectl-annotate", annotation, 5),
		}}), &before)
	want := []history.Change{
		{What: history.Created, Kind: "ImageDigestMirrorSet", Name: "anew", Generation: 1, By: "second", At: *at(3)},
		{What: history.Changed, Kind: "ImageDigestMirrorSet", Name: "edited", Generation: 2, By: "kubectl-edit", At: *at(3)},
		{What: history.Deleted, Kind: "ImageDigestMirrorSet", Name: "gone"},
		{What: history.Changed, Kind: "ImageDigestMirrorSet", Name: "insecure", Generation: 1, By: "kubectl-annotate", At: *at(5)},
		{What: history.Created, Kind: "ImageDigestMirrorSet", Name: "new", Generation: 1, By: "kubectl-create", At: *at(1)},
		{What: history.Changed, Kind: "ImageDigestMirrorSet", Name: "watching", Generation: 1, By: "argocd", At: *at(4)},
	}
	if !reflect.DeepEqual(after.Changes, want) {
		t.Errorf("the changes are %+v; want %+v", after.Changes, want)
	}
	if after.Partial {
		t.Error("the record is partial")
	}
}

func TestWhatChangedWithoutAnotherTextIsAddedToTheChangesOfTheText(t *testing.T) {
	made := func(p payload.Payload, before *history.Record, all ...of) history.Record {
		for i := range all {
			all[i].written = []metav1.ManagedFieldsEntry{wrote(fmt.Sprint("by-", all[i].generation), entries, int(all[i].generation))}
		}
		return history.Of(p, sets(t, all...), before)
	}
	first := made(payload.New(revision, []byte("one")), nil, of{name: "a", uid: "1", generation: 1})
	text := payload.New(revision+1, []byte("two"))
	second := made(text, &first, of{name: "a", uid: "1", generation: 2}, of{name: "b", uid: "2", generation: 1}, of{name: "c", uid: "3", generation: 1})
	third := made(text, &second, of{name: "a", uid: "1", generation: 2}, of{name: "b", uid: "2", generation: 3}, of{name: "d", uid: "4", generation: 1})
	var got []string
	for _, c := range third.Changes {
		got = append(got, fmt.Sprint(c.What, " ", c.Name, " ", c.Generation, " ", c.By))
	}
	want := []string{"changed a 2 by-2", "created b 3 by-3", "deleted c 0 ", "created d 1 by-1"}
	if !slices.Equal(got, want) {
		t.Errorf("the changes are %q; want %q", got, want)
	}
}

func TestARecordThatIsPartialSaysNothingAboutSetsThatItDoesNotName(t *testing.T) {
	before := history.Of(payload.New(revision, nil), sets(t, of{name: "a", uid: "1", generation: 1}), nil)
	before.Partial = true
	after := history.Of(payload.New(revision+1, []byte("other")), sets(t, of{name: "a", uid: "1", generation: 2}, of{name: "b", uid: "2", generation: 1}), &before)
	if len(after.Changes) != 1 || after.Changes[0].Name != "a" || !after.Partial {
		t.Errorf("the changes are %+v, partial %t; want that of a alone, and that there may be more", after.Changes, after.Partial)
	}
	unknown := history.OfUnknown(payload.New(revision, nil))
	if !unknown.Partial || unknown.Has(history.SetOf(&sets(t, of{name: "a"})[0])) {
		t.Error("a record of unknown sets says that it knows them")
	}
}

func TestARecordHasASetInTheStateThatItWasIn(t *testing.T) {
	r := history.Of(payload.New(revision, nil), sets(t, of{name: "b", uid: "2", generation: 2, insecure: "m.com"}, of{name: "a", uid: "1", generation: 1},
		of{name: "c", uid: "3", generation: 1, enforcement: "shadow"}), nil)
	for name, tc := range map[string]struct {
		set  of
		want bool
	}{
		"it":                       {of{name: "b", uid: "2", generation: 2, insecure: "m.com"}, true},
		"the other":                {of{name: "a", uid: "1", generation: 1}, true},
		"another generation":       {of{name: "a", uid: "1", generation: 2}, false},
		"an earlier one":           {of{name: "b", uid: "2", generation: 1, insecure: "m.com"}, false},
		"made anew":                {of{name: "a", uid: "3", generation: 1}, false},
		"another annotation":       {of{name: "b", uid: "2", generation: 2, insecure: "n.com"}, false},
		"without the annotation":   {of{name: "b", uid: "2", generation: 2}, false},
		"in shadow mode":           {of{name: "c", uid: "3", generation: 1, enforcement: "shadow"}, true},
		"not in shadow mode":       {of{name: "c", uid: "3", generation: 1}, false},
		"the other annotation":     {of{name: "c", uid: "3", generation: 1, insecure: "shadow"}, false},
		"another name":             {of{name: "d", uid: "1", generation: 1}, false},
		"a name that comes before": {of{name: "A", uid: "1", generation: 1}, false},
	} {
		if got := r.Has(history.SetOf(&sets(t, tc.set)[0])); got != tc.want {
			t.Errorf("%s: the record has it: %t", name, got)
		}
	}
	tagged := history.SetOf(&sets(t, of{name: "a", uid: "1", generation: 1})[0])
	tagged.Kind = "ImageTagMirrorSet"
	if r.Has(tagged) {
		t.Error("the record has a set of another kind")
	}
}

func TestRecordsAreSortedFromTheLatest(t *testing.T) {
	records := []history.Record{{Revision: 2}, {Revision: 3, Digest: "a"}, {Revision: 1}, {Revision: 3, Digest: "b"}}
	history.Sort(records)
	if want := []history.Record{{Revision: 3, Digest: "a"}, {Revision: 3, Digest: "b"}, {Revision: 2}, {Revision: 1}}; !reflect.DeepEqual(records, want) {
		t.Errorf("got %+v", records)
	}
}
