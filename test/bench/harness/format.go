// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"golang.org/x/perf/benchunit"
)

// measures are the units of metrics of our own, by how they end: as what a value is written, and how many of those it is.
var measures = []struct {
	suffix, unit string
	factor       float64
}{
	{"-ms", "s", 1e-3},
	{"-MB", "B", 1e6},
	{"-%", " %", 1},
}

// format writes a value of a unit for people, with three digits or more.
func format(value float64, unit string) string {
	switch value, tidied := benchunit.Tidy(value, unit); tidied {
	case "sec/op":
		return scale(value, "s")
	case "B/s":
		return scale(value, tidied)
	case "B/change":
		return scale(value, "B")
	}
	for _, m := range measures {
		if strings.HasSuffix(unit, m.suffix) {
			return scale(value*m.factor, m.unit)
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%.4g %s", value, strings.TrimSuffix(strings.TrimSuffix(unit, "/op"), "/change")))
}

func scale(value float64, unit string) string {
	if value == 0 || strings.HasPrefix(unit, " ") {
		return fmt.Sprintf("%.3g%s", value, unit)
	}
	scaler := benchunit.CommonScale([]float64{value}, benchunit.Decimal)
	number := fmt.Sprintf("%.*f", max(scaler.Prec-1, 0), value/scaler.Factor)
	return number + " " + scaler.Prefix + unit
}

// metric is what a unit of our own is of: p50 of p50-ms. Others say it themselves.
func metric(unit string) string {
	for _, m := range measures {
		if of, ok := strings.CutSuffix(unit, m.suffix); ok {
			return of
		}
	}
	return ""
}
