// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/mirrorset/mirrorset/api/config/v1"
	"github.com/mirrorset/mirrorset/internal/kinds"
)

// store is what an API server has: CRDs by name, and the names of sets for digests. What is to happen comes before the request of a name
// and number, as in "list D 2", the second list of sets for digests; "look" is for the metadata of a CRD, and "read" for all of it.
type store struct {
	client.Reader
	mu      sync.Mutex
	crds    map[string]*apiextensionsv1.CustomResourceDefinition
	sets    []string
	happens map[string]func(*store)
	asked   map[string]int
}

// newStore has a CRD for each kind, and one set.
func newStore() *store {
	s := &store{crds: map[string]*apiextensionsv1.CustomResourceDefinition{}, sets: []string{"a"}, happens: map[string]func(*store){}, asked: map[string]int{}}
	for _, kind := range kinds.All {
		s.put(kind, "1", true)
	}
	return s
}

func (s *store) put(kind *kinds.Kind, uid string, established bool) {
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), ResourceVersion: uid + "00"}}
	if established {
		crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
	}
	s.crds[kind.CRDName()] = crd
}

// change has a CRD be another version of itself.
func (s *store) change(kind *kinds.Kind, change func(*apiextensionsv1.CustomResourceDefinition)) {
	crd := s.crds[kind.CRDName()].DeepCopy()
	version, _ := strconv.Atoi(crd.ResourceVersion)
	crd.ResourceVersion = strconv.Itoa(version + 1)
	change(crd)
	s.crds[kind.CRDName()] = crd
}

func leaves(crd *apiextensionsv1.CustomResourceDefinition) { crd.DeletionTimestamp = &metav1.Time{} }

// request counts one, and has happen what comes before it.
func (s *store) request(what string) {
	what = strings.NewReplacer(kinds.Digest.CRDName(), "D", kinds.Tag.CRDName(), "T", kinds.Digest.Name, "D", kinds.Tag.Name, "T").Replace(what)
	s.asked[what]++
	if happen := s.happens[fmt.Sprint(what, " ", s.asked[what])]; happen != nil {
		happen(s)
	}
}

func (s *store) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole, isWhole := object.(*apiextensionsv1.CustomResourceDefinition)
	s.request(map[bool]string{true: "read ", false: "look "}[isWhole] + key.Name)
	crd := s.crds[key.Name]
	if crd == nil {
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	if isWhole {
		*whole = *crd
		return nil
	}
	object.(*metav1.PartialObjectMetadata).ObjectMeta = crd.ObjectMeta
	return nil
}

func (s *store) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	digests, ofDigests := list.(*configv1.ImageDigestMirrorSetList)
	kind := map[bool]*kinds.Kind{true: kinds.Digest, false: kinds.Tag}[ofDigests]
	s.request("list " + kind.Name)
	if s.crds[kind.CRDName()] == nil {
		return apierrors.NewNotFound(schema.GroupResource{}, kind.Resource)
	}
	for _, name := range s.sets {
		if ofDigests {
			digests.Items = append(digests.Items, configv1.ImageDigestMirrorSet{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
	}
	return nil
}

func TestAListIsBelievedByTheCRDsOfAnEarlierPassAndOfNow(t *testing.T) {
	digest, tag := kinds.Digest, kinds.Tag
	goes := func(s *store) { s.sets = nil; s.change(digest, leaves) }
	for name, c := range map[string]struct {
		between func(*store)            // what happens between the first pass and the second
		happens map[string]func(*store) // what happens before a request of the second
		want    []string                // the sets
		missing bool
		asked   map[string]int // of the second pass, but for the lists
	}{
		"nothing happens": {want: []string{"a"}, asked: map[string]int{"look D": 1, "look T": 1}},
		"a CRD changes": {
			between: func(s *store) { s.change(digest, func(*apiextensionsv1.CustomResourceDefinition) {}) },
			want:    []string{"a"}, asked: map[string]int{"look D": 1, "read D": 1, "look T": 1},
		},
		"a set is deleted":               {between: func(s *store) { s.sets = nil }},
		"a CRD is being deleted":         {between: goes, missing: true},
		"it is from the second list on":  {happens: map[string]func(*store){"list T 2": goes}, missing: true},
		"it is once all is listed":       {happens: map[string]func(*store){"look D 3": goes}, missing: true},
		"it is gone":                     {between: func(s *store) { s.sets = nil; delete(s.crds, digest.CRDName()) }, missing: true},
		"it is gone once all is listed":  {happens: map[string]func(*store){"look D 3": func(s *store) { delete(s.crds, digest.CRDName()) }}, missing: true},
		"that of a kind without sets is": {between: func(s *store) { delete(s.crds, tag.CRDName()) }, missing: true},
		"another one has come, with sets": {
			between: func(s *store) { s.put(digest, "2", true); s.sets = []string{"b"} },
			want:    []string{"b"}, asked: map[string]int{"look D": 2, "read D": 1, "look T": 2},
		},
		"another one comes, and only then its sets": {
			happens: map[string]func(*store){
				"look D 3": func(s *store) { s.put(digest, "2", true); s.sets = []string{"b"} },
				"list D 2": func(s *store) { s.sets = nil },
			},
			want: []string{"b"},
		},
		"others come again and again": {
			happens: map[string]func(*store){
				"look D 3": func(s *store) { s.put(digest, "2", true) },
				"look D 4": func(s *store) { s.put(digest, "3", true) },
			},
			missing: true,
		},
		"another one is not served yet": {between: func(s *store) { s.put(digest, "2", false) }, missing: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			l := &lister{live: s}
			if sets, _, err := l.list(t.Context()); err != nil || len(sets) != 1 {
				t.Fatalf("the first pass: %d sets, error %v", len(sets), err)
			}
			before := maps.Clone(s.asked)
			s.happens = c.happens
			if c.between != nil {
				c.between(s)
			}
			sets, crds, err := l.list(t.Context())
			var missing *missingError
			if errors.As(err, &missing) != c.missing || err != nil && !c.missing {
				t.Fatalf("error %v", err)
			}
			var names []string
			for i := range sets {
				names = append(names, sets[i].GetName())
			}
			if !c.missing && !slices.Equal(names, c.want) {
				t.Errorf("sets %v, want %v", names, c.want)
			}
			if !c.missing && (crds[digest].UID != string(s.crds[digest.CRDName()].UID) || crds[tag].UID != "1") {
				t.Errorf("CRDs %+v", crds)
			}
			for what, want := range c.asked {
				if got := s.asked[what] - before[what]; got != want {
					t.Errorf("%s: %d times, want %d", what, got, want)
				}
			}
		})
	}
}

// What is believed is believed for what is there now: a CRD that was being deleted in one pass is looked at before the lists of the next.
func TestACRDThatWasNotBelievedIsSeenAnewBeforeTheLists(t *testing.T) {
	s := newStore()
	l := &lister{live: s}
	s.put(kinds.Digest, "1", false)
	if _, _, err := l.list(t.Context()); err == nil || s.asked["list D"] > 0 {
		t.Fatalf("error %v, asked %v", err, s.asked)
	}
	s.put(kinds.Digest, "2", true)
	sets, _, err := l.list(t.Context())
	if err != nil || len(sets) != 1 || s.asked["list D"] != 1 {
		t.Errorf("%d sets, error %v, asked %v", len(sets), err, s.asked)
	}
}
