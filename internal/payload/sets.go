// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package payload

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// SetState is one state of one set. Every change of its spec leads to another one.
type SetState struct {
	Kind, Name string
	UID        types.UID
	Generation int64
}

// StatesOf returns the states of sets of one kind.
func StatesOf[Set any, Object interface {
	*Set
	metav1.Object
}](kind string, sets []Set) []SetState {
	states := make([]SetState, 0, len(sets))
	for i := range sets {
		set := Object(&sets[i])
		states = append(states, SetState{Kind: kind, Name: set.GetName(), UID: set.GetUID(), Generation: set.GetGeneration()})
	}
	return states
}

// DigestOfSets names these sets, in whatever order they come, as in "sha256:<hex>". Two digests are the same only where no set was
// made, changed or deleted in between.
func DigestOfSets(sets []SetState) string {
	sorted := slices.SortedFunc(slices.Values(sets), func(a, b SetState) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	var text strings.Builder
	for _, s := range sorted {
		fmt.Fprintf(&text, "%s/%s %s %d\n", s.Kind, s.Name, s.UID, s.Generation)
	}
	return digest([]byte(text.String()))
}
