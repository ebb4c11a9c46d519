// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
)

// result is what became of a row.
type result struct {
	row
	output   *output // nil where there is none, and then missing says why
	missing  error
	verdicts []verdict
}

func judgeAll(from string) []result {
	results := make([]result, len(rows))
	for i := range rows {
		r := &results[i]
		r.row = rows[i]
		if r.output, r.missing = readOutput(from, r.name); r.missing != nil {
			continue
		}
		for _, g := range r.goals {
			r.verdicts = append(r.verdicts, judge(r.output, g))
		}
	}
	return results
}

// table is that of all goals, and below it how each row was measured.
func table(results []result) string {
	var text strings.Builder
	text.WriteString("| row | of | Mirrorset | compared with | ratio | goal | reached |\n|---|---|---|---|---|---|---|\n")
	for i := range results {
		r := &results[i]
		if r.missing != nil {
			fmt.Fprintf(&text, "| %s | %s |\n", r.name, strings.Join([]string{"", unmeasured(r.missing), "", "", "", ""}, " | "))
			continue
		}
		name := r.name
		for _, v := range r.verdicts {
			fmt.Fprintf(&text, "| %s | %s |\n", name, strings.Join(v.cells(), " | "))
			name = ""
		}
	}
	text.WriteString("\nA value is the median of the runs, with the lowest and the highest. The p value of a ratio is the probability that\n" +
		"chance alone makes such a difference (Mann-Whitney's U test, as in benchstat).\n\n")
	text.WriteString("| row | work | compared with | measured by | when |\n|---|---|---|---|---|\n")
	for i := range results {
		r := &results[i]
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s |\n", r.name, r.work, r.against, code(r.measuredBy()), r.when())
	}
	return text.String() + "\n" + machines(results)
}

// unmeasured says why there is no figure.
func unmeasured(why error) string {
	if errors.Is(why, errNone) {
		return "not measured"
	}
	return cell("not measured: " + why.Error())
}

// cell keeps a text from ending a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(text, "|", `\|`)
}

func code(text string) string {
	return "`" + cell(text) + "`"
}

func (v *verdict) cells() []string {
	what := strings.TrimSpace(strings.ReplaceAll(strings.TrimSuffix(v.ours, ours), "/", ", ") + " " + metric(v.unit))
	if v.missing != nil {
		return []string{what, unmeasured(v.missing), "", "", v.words(), ""}
	}
	than, ratio := "", ""
	if v.than != nil {
		than = v.otherWay() + v.than.in(v.unit)
		ratio = fmt.Sprintf("%.3gx", v.ratio)
		switch v.kind {
		case faster:
			ratio += " faster"
		case rate:
			ratio = fmt.Sprintf("%.2f", v.ratio)
		}
		ratio += " (" + v.apart.String() + ")"
	}
	return []string{what, v.of.in(v.unit), than, ratio, v.words(), map[bool]string{true: "yes", false: "**no**"}[v.reached]}
}

// otherWay names what the goal compares with, before its figures.
func (g goal) otherWay() string {
	if _, way, ok := strings.Cut(g.other, "/way="); ok && "/way="+way != ours {
		return way + ": "
	}
	_, smaller, _ := strings.Cut(strings.TrimSuffix(g.other, ours), "/")
	return smaller + ": "
}

func (m *measured) in(unit string) string {
	median, low, high := format(m.median, unit), format(m.low, unit), format(m.high, unit)
	if low == high {
		return median
	}
	return fmt.Sprintf("%s (%s to %s)", median, low, high)
}

// measuredBy is the command of the runs that there were, or of those to be.
func (r *result) measuredBy() string {
	command := r.command
	if r.output != nil {
		command = r.output.about["command"]
	}
	if r.folder != "." {
		command = "cd " + r.folder + " && " + command
	}
	return command
}

func (r *result) when() string {
	if r.output == nil {
		return "not measured"
	}
	return fmt.Sprintf("%s, commit %s, %s runs", r.output.about["date"], r.output.about["commit"], r.output.about["runs"])
}

// machines names the machine of all rows that were measured, or each with its rows.
func machines(results []result) string {
	var all []string
	of := map[string][]string{}
	for i := range results {
		if results[i].output == nil {
			continue
		}
		machine := results[i].output.about["machine"]
		if of[machine] == nil {
			all = append(all, machine)
		}
		of[machine] = append(of[machine], results[i].name)
	}
	var text strings.Builder
	for _, machine := range all {
		if len(all) == 1 {
			return "The machine: " + machine + ".\n"
		}
		fmt.Fprintf(&text, "- %s: %s\n", strings.Join(of[machine], ", "), machine)
	}
	return text.String()
}
