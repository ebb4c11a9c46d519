// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"golang.org/x/perf/benchmath"
)

// confidence is that of the medians' intervals, as benchstat has it.
const confidence = 0.95

// verdict is the result of a goal.
type verdict struct {
	goal
	missing error // why it was not measured
	// of are the measurements, and than those of what they are compared with; nil where that is nothing.
	of, than *measured
	ratio    float64
	apart    benchmath.Comparison
	reached  bool
}

// measured is the median of some runs, with the lowest and the highest.
type measured struct {
	median, low, high float64
}

func summarize(s *benchmath.Sample) *measured {
	return &measured{benchmath.AssumeNothing.Summary(s, confidence).Center, s.Values[0], s.Values[len(s.Values)-1]}
}

// judge compares what a row's run printed with a goal.
func judge(o *output, g goal) verdict {
	v := verdict{goal: g}
	mine, err := o.sample(g.ours, g.unit)
	if err != nil {
		v.missing = err
		return v
	}
	v.of = summarize(mine)
	if g.kind == atMost {
		v.reached = v.of.median <= g.bound
		return v
	}
	others, err := o.sample(g.other, g.unit)
	if err != nil {
		v.missing = err
		return v
	}
	v.than, v.apart = summarize(others), benchmath.AssumeNothing.Compare(mine, others)
	if v.of.median <= 0 || v.than.median <= 0 {
		v.missing = fmt.Errorf("there is no ratio of %g to %g %s", v.of.median, v.than.median, g.unit)
		return v
	}
	switch g.kind {
	case faster:
		v.ratio = v.than.median / v.of.median
		v.reached = v.ratio >= g.bound && v.apart.P <= v.apart.Alpha
	case rate:
		v.ratio = v.of.median / v.than.median
		v.reached = v.ratio >= g.bound
	default:
		v.ratio = v.of.median / v.than.median
		v.reached = v.ratio <= g.bound
	}
	return v
}
