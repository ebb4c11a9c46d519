// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// recorded is what a run of a row printed, on a busy machine.
func recorded(t *testing.T, row string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", row+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// keep writes the output of a row to a new folder; none where it is empty.
func keep(t *testing.T, row, text string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if text == "" {
		return folder
	}
	if err := os.WriteFile(filepath.Join(folder, row+".txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// linesOf are those of a table that begin with the row, up to the next row.
func linesOf(document, row string) (lines []string) {
	for line := range strings.Lines(document) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "| "+row+" |"), len(lines) > 0 && strings.HasPrefix(line, "|  |"):
			lines = append(lines, line)
		case len(lines) > 0:
			return lines
		}
	}
	return lines
}

func replace(pattern, with string) func(string) string {
	return func(text string) string { return regexp.MustCompile(pattern).ReplaceAllString(text, with) }
}

// firstRun cuts off all runs but the first.
func firstRun(text string) string {
	before, _, _ := strings.Cut(text, "PASS\n")
	return before + "PASS\n\nresult: ok\n"
}

func TestARowSaysWhatWasMeasuredOrWhyNot(t *testing.T) {
	measured := []string{
		"| lookup | Lookup, rules=100 | 1.21 µs (666 ns to 1.37 µs) | sysregistriesv2: 7.36 µs (4.30 µs to 8.39 µs) | 6.07x faster (p=0.008 n=5) | faster | yes |",
		"|  | Lookup, rules=100000 | 10.5 µs (7.93 µs to 15.8 µs) | sysregistriesv2: 8.54 ms (7.75 ms to 12.4 ms) | 817x faster (p=0.008 n=5) | faster | yes |",
		"|  | Lookup, rules=100 | 1 allocs |  |  | at most 0 allocs | **no** |",
		"|  | Lookup, rules=1000 | 1 allocs |  |  | at most 0 allocs | **no** |",
		"|  | Lookup, rules=10000 | 1 allocs |  |  | at most 0 allocs | **no** |",
		"|  | Lookup, rules=100000 | 1 allocs |  |  | at most 0 allocs | **no** |",
		"|  | Lookup, rules=100000 | 10.5 µs (7.93 µs to 15.8 µs) | rules=100: 1.21 µs (666 ns to 1.37 µs) | 8.62x (p=0.008 n=5) | at most 1.5x | **no** |",
	}
	each := func(why string) (lines []string) { // why has the number of rules for a #
		name := "lookup"
		for i, rules := range []string{"100", "100000", "100", "1000", "10000", "100000", "100000"} {
			reach := []string{"faster", "faster", "at most 0 allocs", "at most 0 allocs", "at most 0 allocs", "at most 0 allocs", "at most 1.5x"}[i]
			lines = append(lines, "| "+name+" | Lookup, rules="+rules+" | not measured: "+strings.ReplaceAll(why, "#", rules)+" |  |  | "+reach+" |  |")
			name = ""
		}
		return lines
	}
	instead := func(line int, with string) []string {
		lines := append([]string{}, measured...)
		lines[line] = with
		return lines
	}
	const lost = "its BenchmarkLookup/rules=100/way=mirrorset has 4 values, of 5 runs"
	all := func(why string) []string { return []string{"| lookup |  | " + why + " |  |  |  |  |"} }
	for _, c := range []struct {
		name   string
		change func(string) string
		want   []string
	}{
		{"all is there", replace("^$", ""), measured},
		{"it was never run", func(string) string { return "" }, all("not measured")},
		{"its run failed", replace("result: ok", "result: exit status 1"), all("not measured: its run failed: exit status 1")},
		{"its run was cut off", replace("\nresult: ok\n", ""), all("not measured: its run was cut off")},
		{"its run was cut off in the middle of a line", func(text string) string { return text[:len(text)/2] }, all("not measured: its run was cut off")},
		{"its benchmark is another one by now", replace("BenchmarkLookup", "BenchmarkFind"), each("its run printed no BenchmarkLookup/rules=#/way=mirrorset")},
		{"a way has another name", replace("rules=100/way=sysregistriesv2", "rules=100/way=podman"),
			instead(0, "| lookup | Lookup, rules=100 | not measured: its run printed no BenchmarkLookup/rules=100/way=sysregistriesv2 |  |  | faster |  |")},
		{"a unit is missing", replace(`(rules=1000/way=mirrorset.*B/op).*`, "$1"),
			instead(3, "|  | Lookup, rules=1000 | not measured: its BenchmarkLookup/rules=1000/way=mirrorset printed no allocs/op |  |  | at most 0 allocs |  |")},
		{"a value of 0", replace(`(rules=1000/way=mirrorset.*)1 allocs/op`, "${1}0 allocs/op"), instead(3, "|  | Lookup, rules=1000 | 0 allocs |  |  | at most 0 allocs | yes |")},
		{"no time at all", replace(`(rules=100/way=sysregistriesv2-2\s+\d+\s+)\d+ ns/op`, "${1}0 ns/op"),
			instead(0, "| lookup | Lookup, rules=100 | not measured: there is no ratio of 1213 to 0 ns/op |  |  | faster |  |")},
		{"one run only", firstRun, each("its BenchmarkLookup/rules=#/way=mirrorset has 1 of at least 4 runs")},
		{"the line of one run begins with what another program wrote", replace(`(BenchmarkLookup/rules=100/way=mirrorset-2\s+\d+\s+1372 ns)`, "E1130 12:00:00 $1"),
			append([]string{"| lookup | Lookup, rules=100 | not measured: " + lost + " |  |  | faster |  |", measured[1], "|  | Lookup, rules=100 | not measured: " + lost + " |  |  | at most 0 allocs |  |"},
				append(slices.Clone(measured[3:6]), "|  | Lookup, rules=100000 | not measured: "+lost+" |  |  | at most 1.5x |  |")...)},
		{"more runs than were measured", replace("runs: 5", "runs: 50"), each("its BenchmarkLookup/rules=#/way=mirrorset has 5 values, of 50 runs")},
		{"no number of runs", replace("runs: 5", "runs: many"), all(`not measured: its output is damaged: runs: strconv.Atoi: parsing "many": invalid syntax`)},
		{"a line that is none of a benchmark", replace(`1372 ns/op`, "fast ns/op"), all("not measured: its output is damaged: line 12: parsing measurement: invalid syntax")},
		{"no benchmark", replace("(?m)^Benchmark.*\n", ""), all("not measured: its run printed no benchmark")},
		{"nobody knows of which commit", replace("(?m)^commit: .*\n", ""), all("not measured: its output has no line commit")},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := linesOf(table(judgeAll(keep(t, "lookup", c.change(recorded(t, "lookup"))))), "lookup")
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestOnlyTheHeadSaysWhereARowWasMeasured(t *testing.T) {
	text := replace("goos: linux", "commit: another")(recorded(t, "lookup"))
	o, err := readOutput(keep(t, "lookup", text), "lookup")
	if err != nil {
		t.Fatal(err)
	}
	r := result{row: row{name: "lookup", folder: "."}, output: o}
	if got, want := r.when(), "2026-11-29, commit 48016c61bba8, 5 runs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	elsewhere := *o
	elsewhere.about = map[string]string{"machine": "another"}
	got := machines([]result{r, {row: row{name: "text"}, output: &elsewhere}, {row: row{name: "pass"}}})
	if want := "- lookup: 2 processors (AMD EPYC), Linux 6.18.44, go1.26.8\n- text: another\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
