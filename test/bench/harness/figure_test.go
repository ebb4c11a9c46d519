// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"gonum.org/v1/plot/plotter"
)

func TestTheLinesOfAFigure(t *testing.T) {
	o := printed(t, "x", "BenchmarkX/n=10/way=a 1 2000 ns/op\nBenchmarkX/n=1000/way=a 1 400000 ns/op\n")
	for _, c := range []struct {
		name string
		each bool
		want plotter.XYs
	}{
		{"as they are, in another unit", false, plotter.XYs{{X: 10, Y: 2}, {X: 1000, Y: 400}}},
		{"for one of each size", true, plotter.XYs{{X: 10, Y: 0.2}, {X: 1000, Y: 0.4}}},
	} {
		f := figure{of: "X/n=", factor: 1e-3, each: c.each}
		got, err := f.points(o, line{way: "a", unit: "ns/op", sizes: []int{10, 1000}})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, error %v", c.name, got, err)
		}
	}
	zero := &figure{of: "X/n=", lines: []line{{way: "a", unit: "ns/op", sizes: []int{10}}}}
	if _, err := zero.draw(printed(t, "x", "BenchmarkX/n=10/way=a 1 0 ns/op\n")); err == nil || err.Error() != "its BenchmarkX/n=10/way=a has 0 ns/op, which cannot be drawn" {
		t.Errorf("a logarithm of 0: got %v", err)
	}
	if got, want := nLogNFrom(plotter.XYs{{X: 10, Y: 2}, {X: 1000, Y: 7}}), (plotter.XYs{{X: 10, Y: 2}, {X: 1000, Y: 6}}); got[0] != want[0] || got[1].Y < 5.99 || got[1].Y > 6.01 {
		t.Errorf("n log n is at %v, and was to be at %v", got, want)
	}
	for value, want := range map[float64]string{0.1: "0.1", 100: "100", 1000: "1,000", 1e7: "10,000,000"} {
		if got := grouped(value); got != want {
			t.Errorf("%g: got %s, want %s", value, got, want)
		}
	}
}
