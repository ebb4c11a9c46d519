// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package order_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mirrorset/mirrorset/internal/mirrors/order"
)

// orderSpec is section 2 of the semantics said a second time, slowly: everything follows from which mirror reaches which.
type orderSpec struct {
	names    []string // by first appearance
	explicit map[[2]string]bool
	all      map[[2]string]bool // with the source's implicit place
}

func newOrderSpec(source string, lists [][]string) orderSpec {
	spec := orderSpec{explicit: make(map[[2]string]bool)}
	for _, list := range lists {
		for i, m := range list {
			if !slices.Contains(spec.names, m) {
				spec.names = append(spec.names, m)
			}
			for _, behind := range list[i+1:] {
				spec.explicit[[2]string{m, behind}] = true
			}
		}
	}
	spec.explicit = spec.closure(spec.explicit)
	spec.all = maps.Clone(spec.explicit)
	for _, list := range lists {
		for _, m := range list {
			if slices.Contains(spec.names, source) && !slices.Contains(list, source) && !spec.explicit[[2]string{source, m}] {
				spec.all[[2]string{m, source}] = true
			}
		}
	}
	spec.all = spec.closure(spec.all)
	return spec
}

func (s orderSpec) closure(edges map[[2]string]bool) map[[2]string]bool {
	closed := maps.Clone(edges)
	for _, via := range s.names {
		for _, a := range s.names {
			for _, b := range s.names {
				if closed[[2]string{a, via}] && closed[[2]string{via, b}] {
					closed[[2]string{a, b}] = true
				}
			}
		}
	}
	return closed
}

// contradict reports whether two mirrors stand in one strongly connected component of what lists say explicitly.
func (s orderSpec) contradict(a, b string) bool {
	return s.explicit[[2]string{a, b}] && s.explicit[[2]string{b, a}]
}

// before reports whether a must stand before b: by order outside of contradictions, by first appearance inside. What comes
// before one member of a contradiction reaches, and so comes before, all of them.
func (s orderSpec) before(a, b string) bool {
	if s.contradict(a, b) {
		return slices.Index(s.names, a) < slices.Index(s.names, b)
	}
	return s.all[[2]string{a, b}]
}

// merged picks, again and again, the mirror that appeared first among those that nothing left must precede.
func (s orderSpec) merged() []string {
	all := []string{}
	left := slices.Clone(s.names)
	for len(left) > 0 {
		next := slices.IndexFunc(left, func(m string) bool {
			return !slices.ContainsFunc(left, func(other string) bool { return other != m && s.before(other, m) })
		})
		all = append(all, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return all
}

func (s orderSpec) conflicts() [][]string {
	var groups [][]string
	for i, a := range s.names {
		group := []string{a}
		for _, b := range s.names {
			if b != a && s.contradict(a, b) {
				group = append(group, b)
			}
		}
		isFirst := !slices.ContainsFunc(s.names[:i], func(earlier string) bool { return s.contradict(earlier, a) })
		if len(group) > 1 && isFirst {
			groups = append(groups, group)
		}
	}
	return groups
}

// drawLists draws lists of different mirrors, the source S among them.
func drawLists(t *rapid.T) [][]string {
	longest := rapid.IntRange(2, 5).Draw(t, "longest") // short lists make several small contradictions
	list := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "S"}), 0, longest, rapid.ID[string])
	return rapid.SliceOfN(list, 0, 8).Draw(t, "lists")
}

func TestMergedListsKeepEveryOrderOutsideOfContradictions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := drawLists(t)
		spec := newOrderSpec("S", lists)
		merged, conflicts := order.Merge("S", lists)

		if got, want := slices.Sorted(slices.Values(merged)), slices.Sorted(slices.Values(spec.names)); !slices.Equal(got, want) {
			t.Fatalf("merged are %q, listed were %q", got, want)
		}
		for _, list := range lists {
			for i, a := range list {
				for _, b := range list[i+1:] {
					if !spec.contradict(a, b) && slices.Index(merged, a) > slices.Index(merged, b) {
						t.Errorf("list %q: %s stands behind %s in %q", list, a, b, merged)
					}
				}
			}
		}
		if want := spec.conflicts(); len(want) != len(conflicts) || len(want) > 0 && !reflect.DeepEqual(conflicts, want) {
			t.Errorf("conflicts are %q, want %q", conflicts, want)
		}
	})
}

func TestOnlyMembersOfAContradictionFallBackToFirstAppearance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := drawLists(t)
		merged, conflicts := order.Merge("S", lists)
		spec := newOrderSpec("S", lists)
		for _, members := range conflicts {
			at := func(m string) int { return slices.Index(merged, m) }
			if !slices.IsSortedFunc(members, func(a, b string) int { return at(a) - at(b) }) {
				t.Errorf("members %q do not stand by first appearance in %q", members, merged)
			}
		}
		if want := spec.merged(); !slices.Equal(merged, want) {
			t.Errorf("lists %q:\n got  %q\n want %q", lists, merged, want)
		}
	})
}

func TestTheSourceStandsBehindListsThatDoNotNameIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := drawLists(t)
		merged, _ := order.Merge("S", lists)
		spec := newOrderSpec("S", lists)
		for _, list := range lists {
			for _, m := range list {
				if !slices.Contains(merged, "S") || slices.Contains(list, "S") || spec.explicit[[2]string{"S", m}] {
					continue
				}
				if slices.Index(merged, m) > slices.Index(merged, "S") {
					t.Errorf("%s stands behind the source in %q", m, merged)
				}
			}
		}
	})
}

func TestListsThatAgreeWithOneOrderMergeWithoutConflict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f", "S"}).Draw(t, "order")
		lists := make([][]string, rapid.IntRange(1, 5).Draw(t, "lists"))
		for i := range lists {
			for _, m := range wanted {
				if rapid.Bool().Draw(t, m) {
					lists[i] = append(lists[i], m)
				}
			}
		}
		if _, conflicts := order.Merge("S", lists); len(conflicts) > 0 {
			t.Errorf("lists %q: conflicts %q", lists, conflicts)
		}
	})
}

func TestConflictsStandByFirstAppearance(t *testing.T) {
	_, conflicts := order.Merge("S", [][]string{{"c", "d"}, {"d", "c"}, {"a", "b"}, {"b", "a"}, {"b", "c"}})
	if want := [][]string{{"c", "d"}, {"a", "b"}}; !reflect.DeepEqual(conflicts, want) {
		t.Errorf("conflicts are %q, want %q", conflicts, want)
	}
}
