// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/payload"
)

// etcdRoom is what etcd takes in one request, less 64 KiB for all that is around the data of an object.
const etcdRoom = 3<<19 - 64<<10

// noise returns a name of so many characters that do not compress.
func noise(random *rand.Rand, length int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	name := make([]byte, length)
	for i := range name {
		name[i] = letters[random.IntN(len(letters))]
	}
	return string(name)
}

func TestARecordFitsEtcdAndSaysWhatFoundNoRoom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	uid := func() string { return fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64()) }
	many := func(count, length int) (all []of) {
		for range count {
			all = append(all, of{name: noise(random, length), uid: uid(), generation: random.Int64N(100), insecure: noise(random, 20)})
		}
		return all
	}
	large := []byte(noise(random, 1_405_000))
	if size := len(packed(t, large)); size < 890<<10 || size > 900<<10 {
		t.Fatalf("packed, the text has %d bytes, and a ConfigMap takes 900 KiB", size)
	}
	for name, tc := range map[string]struct {
		text     []byte
		before   []of
		after    []of
		whole    bool // all sets and changes are there
		sets     bool // all sets are
		blockers int
	}{
		"10,000 sets, all of them changed":          {text: []byte("x"), before: nil, after: many(10_000, 30), whole: true, sets: true},
		"10,000 sets with the longest names":        {text: []byte("x"), before: nil, after: many(10_000, 253)},
		"1,000 sets with the longest names":         {text: []byte("x"), before: many(1_000, 253), after: many(1_000, 253), whole: true, sets: true},
		"the largest text with 1,000 sets":          {text: large, after: many(1_000, 20), whole: true, sets: true},
		"the largest text with 3,000 new sets":      {text: large, after: many(3_000, 40), sets: true},
		"the largest text with 10,000 sets":         {text: large, after: many(10_000, 20)},
		"the largest text with blockers":            {text: large, blockers: 60 << 10, whole: true, sets: true},
		"so many blockers as a ConfigMap has":       {text: []byte("x"), blockers: 60 << 10, whole: true, sets: true},
		"more blockers than a ConfigMap has":        {text: []byte("x"), blockers: 70 << 10, whole: true, sets: true},
		"more sets than are unpacked with one name": {text: []byte("x"), after: alike(120_000)},
	} {
		t.Run(name, func(t *testing.T) {
			p := payload.New(revision, tc.text)
			p.Sets = payload.New(1, []byte("sets")).Digest
			if tc.blockers > 0 {
				p.Blockers, p.Shadow = map[string]string{"quay.io": noise(random, tc.blockers)}, map[string]string{"s.com": noise(random, tc.blockers)}
			}
			before := history.Of(payload.New(1, nil), sets(t, tc.before...), nil)
			r := history.Of(p, sets(t, tc.after...), &before)
			made := object(t, r)
			if len(made.Data.Raw) > etcdRoom {
				t.Errorf("the object has %d bytes, more than etcd takes", len(made.Data.Raw))
			}
			got, err := history.Glance(made)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes, with %d of %d sets and %d of %d changes", len(made.Data.Raw), len(got.Sets), len(r.Sets), len(got.Changes), len(r.Changes))
			allSets, allChanges := len(got.Sets) == len(r.Sets), len(got.Changes) == len(r.Changes)
			if allSets != tc.sets || (allSets && allChanges) != tc.whole || got.Partial == tc.whole {
				t.Errorf("%d of %d sets, %d of %d changes, partial %t", len(got.Sets), len(r.Sets), len(got.Changes), len(r.Changes), got.Partial)
			}
			want := tc.blockers > 0 && tc.blockers < 64<<10
			if blockers, shadow := len(got.Blockers) > 0, len(got.Shadow) > 0; blockers != want || shadow != want {
				t.Errorf("the record has blockers: %t, and what is watched: %t", blockers, shadow)
			}
		})
	}
}

func alike(count int) []of {
	all := make([]of, count)
	for i := range all {
		all[i] = of{name: fmt.Sprintf("a-set-with-quite-a-long-name-of-which-there-are-many-%06d", i), uid: "00000000-0000-0000-0000-000000000000", generation: 1}
	}
	return all
}

func TestATextThatFitsNoObjectIsSaid(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	r := history.OfUnknown(payload.New(revision, []byte(noise(random, 2<<20))))
	if _, err := r.Object("ns"); err == nil {
		t.Error("there is an object")
	}
}
