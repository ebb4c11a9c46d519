// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"testing"
)

// printed is what a row's run prints that measures each benchmark five times, all alike.
func printed(t *testing.T, row, lines string) *output {
	t.Helper()
	text := "command: c\nruns: 5\ndate: d\ncommit: c\nmachine: m\n\n" + strings.Repeat(lines, 5) + "\nresult: ok\n"
	o, err := readOutput(keep(t, row, text), row)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAGoalIsReachedAtItsBound(t *testing.T) {
	for _, c := range []struct {
		name         string
		kind         kind
		bound        float64
		unit         string
		ours, theirs float64
		reached      bool
		ratio        string
	}{
		{"as much faster", faster, 5, "ns/op", 100, 500, true, "5x faster"},
		{"less so", faster, 5, "ns/op", 101, 500, false, "4.95x faster"},
		{"slower", faster, 5, "ns/op", 500, 100, false, "0.2x faster"},
		{"as slow as it may be", within, 1.5, "p99-ms", 15, 10, true, "1.5x"},
		{"slower than that", within, 1.5, "p99-ms", 15.1, 10, false, "1.51x"},
		{"the rate that is wanted", rate, 0.8, "MB/s", 80, 100, true, "0.80"},
		{"a lower rate", rate, 0.8, "MB/s", 79, 100, false, "0.79"},
		{"as much as may be", atMost, 10, "publications", 10, 0, true, ""},
		{"more", atMost, 10, "publications", 11, 0, false, ""},
		{"as flat as it is to be", growing, 1.5, "ns/op", 150, 100, true, "1.5x"},
		{"less flat", growing, 1.5, "ns/op", 151, 100, false, "1.51x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := printed(t, "x", fmt.Sprintf("BenchmarkX/way=mirrorset-2 1 %g %s\nBenchmarkX/way=floor-2 1 %g %s\n", c.ours, c.unit, c.theirs, c.unit))
			g := goal{c.kind, "X" + ours, "X/way=floor", c.unit, c.bound}
			if c.kind == atMost {
				g.other = ""
			}
			v := judge(o, g)
			if v.missing != nil || v.reached != c.reached {
				t.Errorf("reached: %t, missing: %v", v.reached, v.missing)
			}
			if ratio, _, _ := strings.Cut(v.cells()[3], " ("); ratio != c.ratio {
				t.Errorf("the ratio is %q, and was to be %q", ratio, c.ratio)
			}
		})
	}
}

// A way is faster only where chance alone would not make it so.
func TestWaysThatCannotBeToldApartAreNotFaster(t *testing.T) {
	lines := ""
	for _, values := range [][2]int{{100, 90}, {80, 100}, {110, 120}, {90, 115}, {120, 105}} {
		lines += fmt.Sprintf("BenchmarkX/way=mirrorset 1 %d ns/op\nBenchmarkX/way=floor 1 %d ns/op\n", values[0], values[1])
	}
	text := "command: c\nruns: 5\ndate: d\ncommit: c\nmachine: m\n\n" + lines + "\nresult: ok\n"
	o, err := readOutput(keep(t, "x", text), "x")
	if err != nil {
		t.Fatal(err)
	}
	if v := judge(o, goal{faster, "X" + ours, "X/way=floor", "ns/op", 1}); v.missing != nil || v.reached || v.ratio < 1 {
		t.Errorf("%+v", v)
	}
}

func TestValuesAreWrittenForPeople(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{315_200, "ns/op", "315 µs"},
		{17.8e9, "ns/op", "17.8 s"},
		{0, "ns/op", "0s"},
		{999, "ns/op", "999 ns"},
		{343, "MB/s", "343 MB/s"},
		{15.24, "p50-ms", "15.2 ms"},
		{65_000, "last-ms", "65.0 s"},
		{33.94, "size-MB", "33.9 MB"},
		{0.0214, "cpu-%", "0.0214 %"},
		{7, "publications", "7 publications"},
		{1003.5, "requests/change", "1004 requests"},
		{6, "allocs/op", "6 allocs"},
	} {
		if got := format(c.value, c.unit); got != c.want {
			t.Errorf("%g %s: got %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestAMachineIsNamedByWhatFiguresDependOn(t *testing.T) {
	for _, c := range []struct{ name, cpuinfo, release, want string }{
		{"two processors", "processor\t: 0\nmodel name\t: AMD EPYC 7B13\n\nprocessor\t: 1\nmodel name\t: AMD EPYC 7B13\n", "6.12.48+deb13-amd64\n", "2 processors (AMD EPYC 7B13), Linux 6.12.48, go1.26.7"},
		{"one of no name", "processor\t: 0\nBogoMIPS\t: 50.00\n", "6.1-somebodys.own", "1 processor (of no name), Linux 6.1, go1.26.7"},
	} {
		if got := machine(c.cpuinfo, c.release, "go1.26.7"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
