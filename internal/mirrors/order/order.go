// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

// Package order joins lists of mirrors into one (docs/reference/semantics.md M1 to M4). It is pure, and knows no sets.
package order

import (
	"container/heap"
	"slices"
	"sort"
)

// Merge joins the mirror lists of one source into one list that keeps the order of every list (M1). No list contains a mirror twice.
// Mirrors without an order between them are in the order of their first appearance (M2). Lists that contradict each other make groups of
// mirrors, each a strongly connected component. The mirrors of such a group are in the order of their first appearance, and Merge returns
// them as a conflict (M3). A source that a list names is treated like any mirror. It implicitly follows the lists that do not name it,
// unless an explicit order contradicts that (M4).
func Merge[T comparable](source T, lists [][]T) (merged []T, conflicts [][]T) {
	if len(lists) == 1 {
		return lists[0], nil
	}
	g := newGraph(lists)
	g.addImplicitSource(source, lists)
	groups := g.components()
	for _, members := range groups {
		if len(members) > 1 {
			conflicts = append(conflicts, g.names(members))
		}
	}
	return g.names(g.sorted(groups)), conflicts
}

// graph has one vertex per mirror, numbered by first appearance. It has an edge from each mirror to those that a list puts right behind it.
type graph[T comparable] struct {
	number map[T]int
	name   []T
	edges  [][]int
}

func newGraph[T comparable](lists [][]T) *graph[T] {
	g := &graph[T]{number: make(map[T]int)}
	for _, list := range lists {
		for i, m := range list {
			if _, ok := g.number[m]; !ok {
				g.number[m] = len(g.name)
				g.name = append(g.name, m)
				g.edges = append(g.edges, nil)
			}
			if i > 0 {
				g.addEdge(g.number[list[i-1]], g.number[m])
			}
		}
	}
	return g
}

func (g *graph[T]) addEdge(from, to int) {
	g.edges[from] = append(g.edges[from], to)
}

func (g *graph[T]) names(nodes []int) []T {
	names := make([]T, len(nodes))
	for i, n := range nodes {
		names[i] = g.name[n]
	}
	return names
}

// addImplicitSource puts the source behind the mirrors of every list that does not name it. It excludes the mirrors that the explicit order
// of lists puts behind the source, so it can never close a cycle.
func (g *graph[T]) addImplicitSource(source T, lists [][]T) {
	s, explicit := g.number[source]
	if !explicit {
		return
	}
	behind := g.reachable(s)
	for _, list := range lists {
		if slices.Contains(list, source) {
			continue
		}
		for _, m := range list {
			if n := g.number[m]; !behind[n] {
				g.addEdge(n, s)
			}
		}
	}
}

func (g *graph[T]) reachable(from int) []bool {
	seen := make([]bool, len(g.name))
	seen[from] = true
	for todo := []int{from}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, next := range g.edges[n] {
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return seen
}

// components returns the strongly connected components by Tarjan's algorithm, each sorted, all in the order of their
// first members.
func (g *graph[T]) components() [][]int {
	var (
		groups  [][]int
		stack   []int
		onStack = make([]bool, len(g.name))
		index   = make([]int, len(g.name)) // 0 where not visited
		low     = make([]int, len(g.name))
		clock   int
		visit   func(int)
	)
	visit = func(n int) {
		clock++
		index[n], low[n] = clock, clock
		stack, onStack[n] = append(stack, n), true
		for _, next := range g.edges[n] {
			if index[next] == 0 {
				visit(next)
				low[n] = min(low[n], low[next])
			} else if onStack[next] {
				low[n] = min(low[n], index[next])
			}
		}
		if low[n] != index[n] {
			return
		}
		root := len(stack) - 1
		for stack[root] != n {
			root--
		}
		group := slices.Sorted(slices.Values(stack[root:]))
		stack = stack[:root]
		for _, member := range group {
			onStack[member] = false
		}
		groups = append(groups, group)
	}
	for n := range g.name {
		if index[n] == 0 {
			visit(n)
		}
	}
	slices.SortFunc(groups, slices.Compare)
	return groups
}

// sorted returns all nodes in topological order, the first to appear first where there is a choice. Inside a component
// the nodes form a chain by first appearance: what came before any member comes before the first, and what came behind
// any comes behind the last.
func (g *graph[T]) sorted(groups [][]int) []int {
	first, last := make([]int, len(g.name)), make([]int, len(g.name))
	for _, members := range groups {
		for _, n := range members {
			first[n], last[n] = members[0], members[len(members)-1]
		}
	}
	edges, waitsFor := make([][]int, len(g.name)), make([]int, len(g.name))
	connect := func(from, to int) {
		edges[from] = append(edges[from], to)
		waitsFor[to]++
	}
	for _, members := range groups {
		for i := 1; i < len(members); i++ {
			connect(members[i-1], members[i])
		}
	}
	for from := range g.edges {
		for _, to := range g.edges[from] {
			if first[from] != first[to] {
				connect(last[from], first[to])
			}
		}
	}
	ready := &nodeHeap{}
	for n := range waitsFor {
		if waitsFor[n] == 0 {
			heap.Push(ready, n)
		}
	}
	order := make([]int, 0, len(g.name))
	for ready.Len() > 0 {
		n := heap.Pop(ready).(int)
		order = append(order, n)
		for _, next := range edges[n] {
			if waitsFor[next]--; waitsFor[next] == 0 {
				heap.Push(ready, next)
			}
		}
	}
	return order
}

// nodeHeap yields the smallest node, the one that appeared first.
type nodeHeap struct{ sort.IntSlice }

func (h *nodeHeap) Push(n any) { h.IntSlice = append(h.IntSlice, n.(int)) }

func (h *nodeHeap) Pop() any {
	end := len(h.IntSlice) - 1
	n := h.IntSlice[end]
	h.IntSlice = h.IntSlice[:end]
	return n
}
