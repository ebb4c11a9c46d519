// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// figures are the plots.
var figures = []figure{
	{
		row: "text", shows: "sets to rules to text, for each source, beside n log n", of: "Text/sources=",
		x: "sources", y: "µs for each source", factor: 1e-3, each: true, hasNLogN: true,
		lines: []line{
			{"Mirrorset", "mirrorset", "ns/op", []int{100, 1000, 10_000, 100_000}},
			{"OpenShift's merge, and BurntSushi's encoder", "openshift", "ns/op", []int{100, 1000, 10_000}},
			{"that encoder alone", "burntsushi", "ns/op", []int{100, 1000, 10_000, 100_000}},
		},
	},
	{
		row: "lookup", shows: "a lookup among more and more rules", of: "Lookup/rules=",
		x: "rules", y: "ns for a lookup", factor: 1,
		lines: []line{
			{"Mirrorset", "mirrorset", "ns/op", []int{100, 1000, 10_000, 100_000}},
			{"sysregistriesv2.FindRegistry", "sysregistriesv2", "ns/op", []int{100, 1000, 10_000, 100_000}},
		},
	},
	{
		row: "redirect", shows: "a redirected request with more and more rules", of: "Redirect/rules=",
		x: "rules", y: "µs for a request", factor: 1e-3, isLinear: true,
		lines: []line{
			{"Mirrorset", "mirrorset", "ns/op", []int{10, 10_000}},
			{"a bare server of a constant 307", "bare", "ns/op", []int{10, 10_000}},
		},
	},
	{
		row: "fleet", shows: "a change until all agents have it in force, and the set says so", of: "Fleet/agents=",
		x: "agents", y: "ms until Applied", factor: 1,
		lines: []line{
			{"Mirrorset, median", "mirrorset", "p50-ms", []int{10, 100, 1000}},
			{"Mirrorset, p99", "mirrorset", "p99-ms", []int{10, 100, 1000}},
			{"the API server alone, median", "floor", "p50-ms", []int{10, 100, 1000}},
			{"the API server alone, p99", "floor", "p99-ms", []int{10, 100, 1000}},
		},
	},
}

// images are the plots that could be drawn, and why each other one could not.
type images struct {
	drawn   map[string][]byte
	missing map[string]error
}

func drawAll(results []result) images {
	all := images{map[string][]byte{}, map[string]error{}}
	for i := range figures {
		f := &figures[i]
		at := slices.IndexFunc(results, func(r result) bool { return r.name == f.row })
		var svg []byte
		err := results[at].missing
		if err == nil {
			svg, err = f.draw(results[at].output)
		}
		if err != nil {
			all.missing[f.row] = err
			continue
		}
		all.drawn[f.row] = svg
	}
	return all
}

func imageOf(row string) string {
	return "performance-" + row + ".svg"
}

// links show the plots in the document.
func (i images) links() string {
	var text strings.Builder
	for _, f := range figures {
		if err := i.missing[f.row]; err != nil {
			fmt.Fprintf(&text, "%s (`%s`): %s\n\n", capitalized(f.shows), f.row, unmeasured(err))
			continue
		}
		fmt.Fprintf(&text, "![%s](../images/%s)\n\n", capitalized(f.shows), imageOf(f.row))
	}
	return text.String()
}

func capitalized(text string) string {
	return strings.ToUpper(text[:1]) + text[1:]
}

// write writes those that were drawn, and removes those of other figures than the document has.
func (i images) write(folder string) error {
	for row, svg := range i.drawn {
		if err := os.WriteFile(filepath.Join(folder, imageOf(row)), svg, 0o644); err != nil {
			return err
		}
	}
	for row := range i.missing {
		if err := os.Remove(filepath.Join(folder, imageOf(row))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
