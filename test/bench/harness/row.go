// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// row is a line of the table: some work, what it is compared with, how both are measured, and the goals.
type row struct {
	name    string
	work    string
	against string
	// needs are the targets of make that must exist first. root is set if the command needs root.
	needs []string
	root  bool
	// folder is where the command runs, within the repository. A command that has {runs} in it measures that often by itself; any other one
	// measures once, and is run that often, so that the ways take turns. {layer} is the size of a layer.
	folder  string
	command string
	goals   []goal
}

// kind is how a goal compares.
type kind int

const (
	faster  kind = iota // theirs by ours is at least the bound
	within              // ours by theirs is at most the bound
	rate                // ours by theirs is at least the bound
	atMost              // ours is at most the bound, in the unit as the benchmark prints it
	growing             // ours by ours of a smaller case is at most the bound
)

// goal is one goal of a row.
type goal struct {
	kind  kind
	ours  string // the benchmark, as benchstat names it
	other string // likewise what it is compared with; empty for nothing
	unit  string
	bound float64
}

// words are what the goal wants.
func (g goal) words() string {
	switch g.kind {
	case faster:
		if g.bound == 1 {
			return "faster"
		}
		return fmt.Sprintf("%gx faster", g.bound)
	case rate:
		return fmt.Sprintf("at least %g", g.bound)
	case atMost:
		return "at most " + format(g.bound, g.unit)
	}
	return fmt.Sprintf("at most %.3gx", g.bound)
}

// The ways are Mirrorset's own, and those that it is compared with.
const ours = "/way=mirrorset"

// compare returns goals of one kind for each case of a benchmark.
func compare(k kind, bound float64, unit, benchmark, way string, cases ...string) (goals []goal) {
	for _, c := range cases {
		goals = append(goals, goal{k, benchmark + c + ours, benchmark + c + "/way=" + way, unit, bound})
	}
	return goals
}

// limit returns a goal for each benchmark, which is compared with nothing.
func limit(bound float64, unit string, benchmarks ...string) (goals []goal) {
	for _, b := range benchmarks {
		goals = append(goals, goal{atMost, b, "", unit, bound})
	}
	return goals
}

// selected returns the rows of some names, in the table's order; all for no names.
func selected(names []string) ([]row, error) {
	if len(names) == 0 {
		return rows, nil
	}
	var chosen []row
	for i := range rows {
		if slices.Contains(names, rows[i].name) {
			chosen = append(chosen, rows[i])
			names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == rows[i].name })
		}
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("there is no row %s; there are %s", strings.Join(names, ", "), strings.Join(rowNames(), ", "))
	}
	return chosen, nil
}

func rowNames() (names []string) {
	for i := range rows {
		names = append(names, rows[i].name)
	}
	return names
}
