// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const document = `# Performance

<!-- bench: table -->
<!-- /bench: table -->
between
<!-- bench: plots -->
![old](../images/old.svg)
<!-- /bench: plots -->

### text

It takes its time.

<!-- bench: scaling -->
<!-- /bench: scaling -->
after
`

// folders returns one with outputs of rows, and one of documents.
func folders(t *testing.T, rows ...string) (from, docs string) {
	t.Helper()
	from, docs = t.TempDir(), t.TempDir()
	for _, row := range rows {
		if err := os.WriteFile(outputOf(from, row), []byte(recorded(t, row)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"explanation", "images"} {
		if err := os.Mkdir(filepath.Join(docs, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(docs, "explanation", "performance.md"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	return from, docs
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAReportIsWrittenIntoTheDocument(t *testing.T) {
	from, docs := folders(t, "text", "lookup")
	if err := run(t.Context(), []string{"report", "-from", from, "-docs", docs}); err != nil {
		t.Fatal(err)
	}
	text := read(t, docs, "explanation/performance.md")
	for _, want := range []string{
		"| pass |  | not measured |  |  |  |  |\n",
		"Text, sources=100000",
		"The machine: 2 processors (AMD EPYC), Linux 6.18.44, go1.26.8.\n",
		"| `cd test/openshift && go test -run '^$' -bench '^BenchmarkText$' -timeout 30m .` | 2026-11-29, commit 48016c61bba8, 4 runs |\n",
		"| `go test -run '^$' -bench '^Benchmark(Pass\\|UnchangedPass)$' -timeout 30m ./internal/agent` | not measured |\n",
		"\nbetween\n", "\nafter\n",
		"![Sets to rules to text, for each source, beside n log n](../images/performance-text.svg)\n",
		"A redirected request with more and more rules (`redirect`): not measured\n",
		"<!-- bench: scaling -->\n\nnot measured\n\n<!-- /bench: scaling -->\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the document has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "old.svg") {
		t.Error("the document still has what was there")
	}
	for _, row := range []string{"text", "lookup"} {
		svg := read(t, docs, "images", imageOf(row))
		if len(svg) > 20_000 {
			t.Errorf("the plot of %s has %d bytes", row, len(svg))
		}
		decoder := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, want := range []string{">n log n</text>", ">that encoder alone</text>", ">µs for each source</text>", ">100,000</text>", "Liberation Sans,Arial"} {
		if !strings.Contains(read(t, docs, "images", imageOf("text")), want) {
			t.Errorf("the plot of text has no %s", want)
		}
	}
	var console bytes.Buffer
	// The same again is the same, and what is no longer measured is no longer shown.
	if err := report(from, docs, &console); err != nil {
		t.Fatal(err)
	}
	if read(t, docs, "explanation/performance.md") != text {
		t.Error("a second report differs from the first")
	}
	if !strings.Contains(console.String(), "lookup misses a goal") || strings.Contains(console.String(), "text misses") {
		t.Errorf("it says %s", console.String())
	}
	if err := os.Remove(outputOf(from, "text")); err != nil {
		t.Fatal(err)
	}
	if err := report(from, docs, io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(docs, "images", imageOf("text"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the plot of what is not measured is still there: %v", err)
	}
	if strings.Contains(read(t, docs, "explanation/performance.md"), "performance-text.svg") {
		t.Error("the document still shows it")
	}
}

func TestADocumentWithoutRoomForAReportStaysAsItIs(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"no beginning": replace("<!-- bench: plots -->\n", ""),
		"no end":       replace("<!-- /bench: plots -->\n", ""),
		"twice":        func(text string) string { return text + text },
	} {
		from, docs := folders(t, "text")
		changed := change(document)
		if err := os.WriteFile(filepath.Join(docs, "explanation", "performance.md"), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := report(from, docs, io.Discard); err == nil {
			t.Errorf("%s: there was no error", name)
		}
		if read(t, docs, "explanation/performance.md") != changed {
			t.Errorf("%s: the document was changed", name)
		}
		if _, err := os.Stat(filepath.Join(docs, "images", imageOf("text"))); err == nil {
			t.Errorf("%s: a plot was written", name)
		}
	}
}

// The committed document has all rows, and says of each that misses a goal where its time goes.
func TestTheDocumentHasEachRow(t *testing.T) {
	const docs = "../../../docs"
	text := read(t, docs, "explanation/performance.md")
	for _, part := range []string{partTable, partPlots, partScaling} {
		if _, err := replacePart(text, part, ""); err != nil {
			t.Error(err)
		}
	}
	for i := range rows {
		lines := linesOf(text, rows[i].name)
		if len(lines) == 0 {
			t.Errorf("it has no row %s; `make bench-report` writes it", rows[i].name)
		}
		isMissed := func(line string) bool { return strings.HasSuffix(line, "| **no** |") }
		if slices.ContainsFunc(lines, isMissed) && !strings.Contains(text, "\n### "+rows[i].name+"\n") {
			t.Errorf("%s misses a goal, and no section of its name says where the time goes", rows[i].name)
		}
	}
	for _, image := range regexp.MustCompile(`\.\./images/(performance-[a-z]+\.svg)`).FindAllStringSubmatch(text, -1) {
		read(t, docs, "images", image[1])
	}
}

func TestEachRowCanBeMeasured(t *testing.T) {
	names := map[string]bool{}
	for i := range rows {
		r := &rows[i]
		if names[r.name] || r.work == "" || r.against == "" || r.command == "" || len(r.goals) == 0 {
			t.Errorf("%+v", r)
		}
		names[r.name] = true
		if _, err := os.Stat(filepath.Join("../../..", r.folder)); err != nil {
			t.Error(err)
		}
		for _, g := range r.goals {
			if g.ours == "" || g.unit == "" || (g.other == "") != (g.kind == atMost) || g.bound == 0 && g.kind != atMost {
				t.Errorf("%s: %+v", r.name, g)
			}
		}
	}
	for i := range figures {
		if !names[figures[i].row] {
			t.Errorf("there is a figure of %s, and no row", figures[i].row)
		}
	}
}

func TestOnlyARowThatMissesAGoalIsToBeExplained(t *testing.T) {
	for _, c := range []struct {
		name    string
		verdict verdict
		text    string
		want    int
	}{
		{"reached", verdict{reached: true}, "", 0},
		{"missed", verdict{}, "", 1},
		{"missed, and explained", verdict{}, "\n### x\n", 0},
		{"not measured", verdict{missing: errNone}, "", 0},
	} {
		if got := unexplained(c.text, []result{{row: row{name: "x"}, verdicts: []verdict{c.verdict}}}); len(got) != c.want {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}
