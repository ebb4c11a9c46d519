// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// TestWhatIsUsedIsServedAndWhatIsServedIsUsed is about all alerts and all panels.
func TestWhatIsUsedIsServedAndWhatIsServedIsUsed(t *testing.T) {
	byName, all := served(t)
	used := make(map[*family]bool)
	note := func(expression string) {
		names := check(t, expression, byName)
		if len(names) == 0 {
			t.Errorf("%s is about nothing", expression)
		}
		for _, name := range names {
			used[byName[name]] = true
		}
	}
	alerts, records := ruleset(t)
	for _, r := range slices.Concat(alerts, records) {
		note(r.Expr)
	}
	for _, p := range dashboard(t).Panels {
		for _, e := range p.expressions() {
			note(e)
		}
	}
	for _, f := range all {
		if !used[f] {
			t.Errorf("nothing uses %s", f.name)
		}
	}
}

// TestTheDocumentHasAllMetrics compares the table of docs/reference/metrics.md with what is served.
func TestTheDocumentHasAllMetrics(t *testing.T) {
	text, err := os.ReadFile(root + "docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`mirrorset_") {
			continue
		}
		documented = append(documented, strings.TrimSpace(cells[1])+" "+strings.TrimSpace(cells[2])+" "+strings.TrimSpace(cells[3]))
		if strings.TrimSpace(cells[4]) == "" {
			t.Errorf("nothing is said of %s", cells[1])
		}
	}
	_, all := served(t)
	var want []string
	for _, f := range all {
		var own []string
		separator := "; "
		for _, label := range f.ownLabels() {
			if f.name == "mirrorset_build_info" { // with values of every build's own
				own, separator = append(own, "`"+label+"`"), ", "
				continue
			}
			if isName(label) {
				own = append(own, "`"+label+"`")
				continue
			}
			own = append(own, "`"+label+"`: `"+strings.Join(f.values(label), "`, `")+"`")
		}
		want = append(want, strings.TrimSpace("`"+f.name+"` "+f.kind+" "+strings.Join(own, separator)))
	}
	for i := range documented {
		documented[i] = strings.TrimSpace(documented[i])
	}
	slices.Sort(documented)
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("docs/reference/metrics.md has\n%s\nand there are\n%s", strings.Join(documented, "\n"), strings.Join(want, "\n"))
	}
}

// TestTheDocumentsExpressionsAreRight is about code in docs/reference/metrics.md and docs/reference/alerts.md that is meant for Prometheus.
func TestTheDocumentsExpressionsAreRight(t *testing.T) {
	byName, _ := served(t)
	found := 0
	for _, document := range []string{"docs/reference/metrics.md", "docs/reference/alerts.md"} {
		text, err := os.ReadFile(root + document)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```promql\n")
		for _, block := range blocks[1:] {
			expressions, _, _ := strings.Cut(block, "```")
			for e := range strings.Lines(expressions) {
				found++
				if _, err := parser.NewParser(parser.Options{}).ParseExpr(e); err != nil {
					t.Errorf("%s: %v", document, err)
				}
				check(t, e, byName)
			}
		}
	}
	if found == 0 {
		t.Error("there are none")
	}
}
